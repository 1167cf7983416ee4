// Package testkit holds what the tests of several packages share: the check
// that a package's tests leave no goroutine and no file descriptor behind,
// free ports, and waiting for a condition instead of for time.
//
// Only tests import it.
package testkit
