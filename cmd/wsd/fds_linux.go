package main

import (
	"errors"
	"os"
	"syscall"
)

// countFDs counts the open descriptors of the process, -1: can't be known.
func countFDs() int {
	const dir = "/proc/self/fd"
	// Since Linux 6.2 the folder's size is their number.
	if info, err := os.Stat(dir); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	d, err := os.Open(dir)
	if errors.Is(err, syscall.EMFILE) {
		limit, _ := fdLimit()
		return int(limit)
	}
	if err != nil {
		return -1
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names) - 1 // without d
}
