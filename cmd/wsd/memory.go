package main

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	rtm "runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

const (
	// leastMemory is what wsd can't do without.
	leastMemory = 32 << 20
	// memoryForGo is the share of the limit that the Go runtime is told to keep to:
	// the rest is for what it does not know of.
	memoryForGo = 0.9
	// memoryShort and memoryEnough are the shares from which new clients are
	// refused, and below which they are welcome again.
	memoryShort  = 0.85
	memoryEnough = 0.8
	// memoryLook is how often the guard looks.
	memoryLook = 100 * time.Millisecond
	// memoryCollect is how old the last collection may be while memory is short:
	// without one what is free again does not show.
	memoryCollect = time.Second
	// unlimitedMemory is what version 1 of cgroups says when it has no limit, or more.
	unlimitedMemory = 1 << 62
)

// memoryGuard tells when memory is short.
type memoryGuard struct {
	limit uint64 // bytes; 0: none
	used  atomic.Uint64
	short *atomic.Bool // the limiter's
}

// watchMemory has the guard look after the limit, if there is one, until end is
// called. GOMEMLIMIT counts more than the flag's auto. A worker has its share of it.
func (s *server) watchMemory() (end func(), err error) {
	if s.daemonFlags == nil {
		return func() {}, nil
	}
	g := &s.memory
	g.short = s.limiter.short
	if g.limit, err = s.memoryFlags.limit(os.DirFS("/")); err != nil {
		return nil, err
	}
	own := debug.SetMemoryLimit(-1)
	var forGo int64
	g.limit, forGo = shareMemory(g.limit, own, s.MemoryLimit == "auto", s.host.workers())
	debug.SetMemoryLimit(forGo)
	restore := func() { debug.SetMemoryLimit(own) }
	if g.limit == 0 {
		return restore, nil
	}
	s.notReady(func() string {
		if g.short.Load() {
			return "memory: " + size(g.used.Load()).String() + " of " + size(g.limit).String() + " in use"
		}
		return ""
	})
	stop := s.lookAfterMemory()
	return func() {
		stop()
		restore()
	}, nil
}

// shareMemory is what one of several workers keeps to, and what Go's runtime is told: of
// a limit for all, 0 for none, and the runtime's own, which counts more with auto.
func shareMemory(limit uint64, own int64, auto bool, workers int) (share uint64, forGo int64) {
	n := uint64(workers)
	switch {
	case own == math.MaxInt64 && limit == 0:
		return 0, own
	case own != math.MaxInt64 && auto:
		return uint64(own) / n, own / int64(n)
	case limit == 0: // off: the runtime's stays
		return 0, own / int64(n)
	}
	return limit / n, int64(float64(limit/n) * memoryForGo)
}

// lookAfterMemory looks until end is called.
func (s *server) lookAfterMemory() (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(memoryLook)
		defer tick.Stop()
		cycles, since := uint64(0), time.Now()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			used, n := liveMemory()
			if n != cycles {
				cycles, since = n, time.Now()
			}
			s.memory.judge(used, func(short bool) {
				if short {
					s.log.Warn("memory is short: new clients are refused", "used", size(used).String(), "limit", size(s.memory.limit).String())
				} else {
					s.log.Info("memory suffices again: new clients are welcome", "used", size(used).String())
				}
			})
			if s.memory.short.Load() && time.Since(since) > memoryCollect {
				runtime.GC()
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// judge takes what is in use, and calls changed when that makes memory short or
// ends it.
func (g *memoryGuard) judge(used uint64, changed func(short bool)) {
	g.used.Store(used)
	share, before := float64(used)/float64(g.limit), g.short.Load()
	if now := share > memoryShort || before && share > memoryEnough; now != before {
		g.short.Store(now)
		changed(now)
	}
}

// liveMemory is what the last collection has left, with what the runtime itself needs,
// and how many collections there were.
func liveMemory() (bytes, cycles uint64) {
	samples := []rtm.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	rtm.Read(samples)
	v := func(i int) uint64 { return samples[i].Value.Uint64() }
	return v(0) - v(1) - v(2) - v(3) - v(4) + v(5), v(6)
}

// containerMemory is what the process's cgroup, or one above it, allows; 0: no limit.
func containerMemory(root fs.FS) uint64 {
	least := uint64(0)
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		// cgroups(7): hierarchy, controllers, path.
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		base, file := "sys/fs/cgroup", "memory.max"
		if part[1] != "" {
			base, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
			if !strings.Contains(","+part[1]+",", ",memory,") {
				continue
			}
		}
		for dir := path.Clean("/" + part[2]); ; dir = path.Dir(dir) {
			if n := memoryFile(root, path.Join(base, dir, file)); n > 0 && (least == 0 || n < least) {
				least = n
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// memoryFile reads a limit, 0 where there is none.
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

// memoryMetrics registers what tells of the limit.
func (s *server) memoryMetrics() {
	g := &s.memory
	s.metrics.GaugeVec("wsd_memory_limit_bytes", "What --memory-limit comes down to.", nil, func(emit metrics.Emit) {
		if g.limit > 0 {
			emit(float64(g.limit))
		}
	})
	s.metrics.GaugeVec("wsd_memory_used_bytes", "Memory in use as the last collection found it, which is held against that limit.", nil, func(emit metrics.Emit) {
		if g.limit > 0 {
			emit(float64(g.used.Load()))
		}
	})
	s.metrics.Gauge("wsd_memory_short", "Whether new clients are refused for want of memory.", func() float64 { return bit(g.short.Load()) })
}
