package main

import (
	"fmt"
	"io/fs"
	"os"
)

// memoryFlags bound the process's memory.
type memoryFlags struct {
	MemoryLimit string `default:"auto" placeholder:"SIZE" help:"Memory that the process, or all workers together, may have: when it is short new clients are refused, and those closed that hold most. auto: GOMEMLIMIT, or what the container (cgroup) allows; off: no limit. Default ${default}."`
}

// check refuses what can't be meant.
func (f *memoryFlags) check() error {
	_, err := f.limit(os.DirFS("/"))
	return err
}

// limit is the flag's, in bytes; 0: none. root is where the system's files are.
func (f *memoryFlags) limit(root fs.FS) (uint64, error) {
	switch f.MemoryLimit {
	case "auto":
		return containerMemory(root).limit, nil
	case "off":
		return 0, nil
	}
	var n size
	if err := n.UnmarshalText([]byte(f.MemoryLimit)); err != nil || n < leastMemory {
		return 0, usageError(fmt.Errorf("--memory-limit %s: want auto, off, or a size of at least %v", f.MemoryLimit, size(leastMemory)))
	}
	return uint64(n), nil
}

// checkShare refuses a limit of which a worker's share is too small. It expects what
// check allows.
func (f *memoryFlags) checkShare(workers int) error {
	var n size
	if n.UnmarshalText([]byte(f.MemoryLimit)) == nil && uint64(n)/uint64(workers) < leastMemory {
		return usageError(fmt.Errorf("--memory-limit %s with --workers %d: want at least %v for each", f.MemoryLimit, workers, size(leastMemory)))
	}
	return nil
}
