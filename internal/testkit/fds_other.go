//go:build !linux

package testkit

// openFDs returns nothing: only Linux lists them in a file system.
func openFDs() map[string]string { return nil }
