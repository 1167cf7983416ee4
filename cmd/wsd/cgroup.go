package main

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// unlimitedMemory is what version 1 of cgroups says when it has no limit, or more.
const unlimitedMemory = 1 << 62

// cgroup is one that limits the process's memory; see cgroups(7).
type cgroup struct {
	dir   string // in the root's file system
	v1    bool
	limit uint64 // bytes; 0: there is none
}

// containerMemory is the process's cgroup, or one above it: the one that allows least.
func containerMemory(root fs.FS) (least cgroup) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return cgroup{}
	}
	for line := range strings.Lines(string(text)) {
		// cgroups(7): hierarchy, controllers, path.
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, file, v1 := "sys/fs/cgroup", "memory.max", part[1] != ""
		if v1 {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
		}
		for dir := path.Clean("/" + part[2]); ; dir = path.Dir(dir) {
			g := cgroup{dir: path.Join(base, dir), v1: v1}
			if g.limit = memoryFile(root, path.Join(g.dir, file)); g.limit > 0 && (least.limit == 0 || g.limit < least.limit) {
				least = g
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// memoryFile reads a number of bytes, 0 where there is none.
func memoryFile(root fs.FS, name string) uint64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n >= unlimitedMemory {
		return 0 // "max"
	}
	return n
}

// kernel is what the kernel has taken of the limit for the processes of the group, and
// can't take back: for sockets and what they buffer, in version 1 without that.
func (g cgroup) kernel(root fs.FS) uint64 {
	if g.v1 {
		return memoryFile(root, path.Join(g.dir, "memory.kmem.usage_in_bytes"))
	}
	text, err := fs.ReadFile(root, path.Join(g.dir, "memory.stat"))
	if err != nil {
		return 0
	}
	taken, free := uint64(0), uint64(0)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "sock", "kernel":
			taken += n
		case "slab_reclaimable": // part of kernel
			free = n
		}
	}
	return taken - min(taken, free)
}
