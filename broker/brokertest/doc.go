// Package brokertest holds what every implementation of package broker's seams
// has to pass. It is for tests.
package brokertest

import "time"

// patience is how long the suites wait for what has to come.
const patience = 30 * time.Second
