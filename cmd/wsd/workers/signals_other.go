//go:build !unix

package workers

import "os"

// There are no workers here.
var (
	terminate = os.Kill
	dump      = os.Kill
)
