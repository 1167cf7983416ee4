//go:build !linux

package workers

import (
	"errors"
	"os"
)

// There are no workers here.
var (
	terminate = os.Kill
	dump      = os.Kill
)

func tryLock(*os.File) error { return nil }

func private(string) bool { return false }

func openLock(string) (*os.File, error) { return nil, errors.ErrUnsupported }
