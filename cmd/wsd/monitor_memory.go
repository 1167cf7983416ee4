package main

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	rtm "runtime/metrics"
	"strconv"
)

// readMemory tells of the process's memory and how many goroutines it has, without
// stopping any.
func readMemory() (memoryView, int) {
	samples := []rtm.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/sched/goroutines:goroutines"}}
	rtm.Read(samples)
	v := memoryView{Heap: samples[0].Value.Uint64(), RSS: residentMemory()}
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		v.Limit = uint64(limit)
	}
	return v, int(samples[1].Value.Uint64())
}

// residentMemory is what the process has of the machine's memory in bytes, 0 where
// the system does not tell in Linux's way.
func residentMemory() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
