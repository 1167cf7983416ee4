//go:build !linux

package bench

import (
	"errors"
	"fmt"
)

func readUsage(pid int) (usage, error) {
	return usage{}, fmt.Errorf("bench: figures of process %d: %w", pid, errors.ErrUnsupported)
}
