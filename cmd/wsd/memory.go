package main

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	rtm "runtime/metrics"
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
	// memoryHeld is the share of the limit that what clients hold may fill up: slow
	// readers' queues and messages that are not complete. It leaves room for what is
	// garbage until the next collection. memoryHeldLeast is what clients may hold
	// whatever else is in use.
	memoryHeld      = 0.6
	memoryHeldLeast = 1.0 / 16
	// heldShort and heldEnough are the shares of that from which new clients are
	// refused, and below which they are welcome again.
	heldShort  = 0.75
	heldEnough = 0.5
	// memoryMove is the share of the limit by which the kernel's part changes before
	// Go's runtime is told, which stops all goroutines for a moment, and by which
	// clients are allowed more at least, which takes a look at the heap.
	memoryMove = 1.0 / 64
)

// memoryGuard tells when memory is short.
type memoryGuard struct {
	limit  uint64 // bytes; 0: none
	forGo  int64  // of them, what Go's runtime keeps to while the kernel takes nothing
	kernel func() uint64
	used   atomic.Uint64
	short  *atomic.Bool // the limiter's

	inUse func() (live, all, cycles uint64)

	taken atomic.Uint64 // by the kernel, as the runtime was last told of it
	last  int           // what clients held at the last look
	most  atomic.Int64
}

// watchMemory has the guard look after the limit, if there is one, until end is
// called. GOMEMLIMIT counts more than the flag's auto. A worker has its share of it.
func (s *server) watchMemory() (end func(), err error) {
	if s.daemonFlags == nil {
		return func() {}, nil
	}
	g := &s.memory
	g.short = s.limiter.short
	root := os.DirFS("/")
	if g.limit, err = s.memoryFlags.limit(root); err != nil {
		return nil, err
	}
	own := debug.SetMemoryLimit(-1)
	workers := s.host.workers()
	g.limit, g.forGo = shareMemory(g.limit, own, s.MemoryLimit == "auto", workers)
	g.kernel = func() uint64 { return 0 }
	g.inUse = memoryInUse
	if group := containerMemory(root); own == math.MaxInt64 && group.limit > 0 {
		g.kernel = func() uint64 { return group.kernel(root) / uint64(workers) }
	}
	debug.SetMemoryLimit(g.forGo)
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
	g := &s.memory
	s.app.SetMaxHeld(g.allow(0, 0))
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
			used, _, n := g.inUse()
			used += g.takenByKernel()
			held := s.app.Held()
			if n != cycles {
				cycles, since = n, time.Now()
				s.app.SetMaxHeld(g.allow(used, held))
			}
			g.last = held
			g.judge(used, held, s.memoryChanged)
			if g.pressed(held) && time.Since(since) > memoryCollect {
				s.app.GiveBack()
				runtime.GC()
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// memoryChanged is called when memory has become short, or suffices again.
func (s *server) memoryChanged(short bool) {
	g := &s.memory
	used, held := size(g.used.Load()).String(), size(g.last).String()
	if short {
		s.app.GiveBack()
		s.log.Warn("memory is short: new clients are refused", "used", used, "limit", size(g.limit).String(), "held", held, "held_limit", size(g.most.Load()).String())
		return
	}
	s.log.Info("memory suffices again: new clients are welcome", "used", used, "held", held)
}

// allow is what clients may hold, after a collection that has left used in use. Of what
// they held then no more is known than at the looks before and after: the lesser counts.
// It may be more than all that is in use, because what many readers wait for is counted
// for each.
func (g *memoryGuard) allow(used uint64, held int) int {
	rest := float64(used) - float64(min(held, g.last))
	most := max(float64(g.limit)*memoryHeld-rest, float64(g.limit)*memoryHeldLeast)
	g.most.Store(int64(most))
	return int(most)
}

// allowMore is allow for the moment when clients seem to hold too much, which is the
// engine's Options.MoreHeld: what many readers wait for is counted for each, and what is
// really in use, with what is garbage already, may leave room for more.
func (g *memoryGuard) allowMore(held int) int {
	_, used, _ := g.inUse()
	room := float64(g.limit)*memoryHeld - float64(used+g.taken.Load())
	if room >= float64(g.limit)*memoryMove {
		g.most.Store(max(g.most.Load(), int64(held)+int64(room)))
	}
	return int(g.most.Load())
}

// pressed reports whether a collection now and then is worth its while: memory is short,
// or will be if what clients hold is what it seems.
func (g *memoryGuard) pressed(held int) bool {
	return g.short.Load() || float64(held) > float64(g.most.Load())*heldEnough
}

// takenByKernel is what the kernel has of the limit. Go's runtime keeps to what is left,
// but is never told less than half of its part: it would do nothing but collect.
func (g *memoryGuard) takenByKernel() uint64 {
	n, taken := g.kernel(), g.taken.Load()
	if moved := max(n, taken) - min(n, taken); float64(moved) > float64(g.limit)*memoryMove {
		g.taken.Store(n)
		debug.SetMemoryLimit(g.forGo - min(int64(n), g.forGo/2))
	}
	return n
}

// judge takes what is in use, and what of it clients hold, and calls changed when that
// makes memory short or ends it.
func (g *memoryGuard) judge(used uint64, held int, changed func(short bool)) {
	g.used.Store(used)
	before := g.short.Load()
	full, part := memoryShort, heldShort
	if before {
		full, part = memoryEnough, heldEnough
	}
	now := float64(used) > float64(g.limit)*full || float64(held) > float64(g.most.Load())*part
	if now != before {
		g.short.Store(now)
		changed(now)
	}
}

// memoryInUse is what the last collection has left, and that with what was made since,
// both with what the runtime itself needs, in bytes; and how many collections there were.
func memoryInUse() (live, all, cycles uint64) {
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
	all = v(0) - v(2) - v(3) - v(4)
	return all - v(1) + v(5), all, v(6)
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
	s.metrics.GaugeVec("wsd_memory_kernel_bytes", "Memory that the kernel has taken of the cgroup's limit, for sockets mostly: part of wsd_memory_used_bytes.", nil, func(emit metrics.Emit) {
		if g.limit > 0 {
			emit(float64(g.kernel()))
		}
	})
	s.metrics.GaugeVec("wsd_memory_held_bytes", "What clients hold: what waits for slow readers, and what has come of messages that are not complete.", nil, func(emit metrics.Emit) {
		if g.limit > 0 {
			emit(float64(s.app.Held()))
		}
	})
	s.metrics.GaugeVec("wsd_memory_held_limit_bytes", "What clients together may hold: beyond it those are closed that hold most.", nil, func(emit metrics.Emit) {
		if g.limit > 0 {
			emit(float64(g.most.Load()))
		}
	})
	s.metrics.Gauge("wsd_memory_short", "Whether new clients are refused for want of memory.", func() float64 { return bit(g.short.Load()) })
}
