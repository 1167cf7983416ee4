package main

import (
	"math"
	"sync/atomic"
	"testing"
	"testing/fstest"
)

func mapFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestMemoryOfTheKernel(t *testing.T) {
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want uint64
	}{
		{"no cgroups", fstest.MapFS{}, 0},
		{"version 2, of the group with the limit", fstest.MapFS{
			"proc/self/cgroup":                  mapFile("0::/a.slice/b.service\n"),
			"sys/fs/cgroup/a.slice/memory.max":  mapFile("1000000000\n"),
			"sys/fs/cgroup/a.slice/memory.stat": mapFile("anon 5000\nfile 6000\nkernel 700\nkernel_stack 80\nsock 9000\nslab_reclaimable 200\nslab 300\n"),
		}, 9500},
		{"version 2 without the files", fstest.MapFS{
			"proc/self/cgroup":         mapFile("0::/\n"),
			"sys/fs/cgroup/memory.max": mapFile("1000000000\n"),
		}, 0},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": mapFile("4:memory:/docker/1\n"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes":      mapFile("536870912\n"),
			"sys/fs/cgroup/memory/docker/1/memory.kmem.usage_in_bytes": mapFile("4096\n"),
		}, 4096},
	} {
		if got := containerMemory(c.root).kernel(c.root); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestContainerMemory(t *testing.T) {
	for _, c := range []struct {
		name string
		root fstest.MapFS
		want uint64
	}{
		{"no cgroups", fstest.MapFS{}, 0},
		{"version 2, in a container", fstest.MapFS{
			"proc/self/cgroup":         mapFile("0::/\n"),
			"sys/fs/cgroup/memory.max": mapFile("268435456\n"),
		}, 256 << 20},
		{"version 2, the least of those above", fstest.MapFS{
			"proc/self/cgroup":                           mapFile("0::/a.slice/b.service\n"),
			"sys/fs/cgroup/a.slice/memory.max":           mapFile("1000000000\n"),
			"sys/fs/cgroup/a.slice/b.service/memory.max": mapFile("max\n"),
		}, 1000000000},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup": mapFile("11:cpu:/x\n4:memory:/docker/1\n"),
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": mapFile("536870912\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          mapFile("9223372036854771712\n"),
		}, 512 << 20},
		{"nonsense", fstest.MapFS{
			"proc/self/cgroup":         mapFile("0::/../..\nx\n"),
			"sys/fs/cgroup/memory.max": mapFile("many\n"),
		}, 0},
	} {
		if got := containerMemory(c.root).limit; got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMemoryGuard(t *testing.T) {
	g := memoryGuard{limit: 100, short: new(atomic.Bool)}
	g.most.Store(40)
	for _, step := range []struct {
		used  uint64
		held  int
		short bool
	}{
		{84, 0, false}, {86, 0, true}, {84, 0, true}, {81, 0, true}, {79, 0, false}, {84, 0, false},
		{50, 29, false}, {50, 31, true}, {50, 21, true}, {81, 19, true}, {50, 19, false}, {50, 29, false},
	} {
		g.judge(step.used, step.held, func(short bool) {
			if short != step.short {
				t.Errorf("at %+v: told %v", step, short)
			}
		})
		if got := g.short.Load(); got != step.short {
			t.Errorf("at %+v: %v", step, got)
		}
	}
}

func TestMemoryThatClientsMayHold(t *testing.T) {
	for _, c := range []struct {
		name       string
		used       uint64
		last, held int
		want       int
	}{
		{"nothing is held", 200, 0, 0, 400},
		{"half of what is in use", 200, 100, 100, 500},
		{"it grows, and the collection was before", 200, 0, 100, 400},
		{"it shrinks, likewise", 200, 100, 0, 400},
		{"counted for each of many", 200, 900, 900, 1300},
		{"all else fills the memory", 900, 100, 100, 62},
	} {
		g := memoryGuard{limit: 1000, last: c.last}
		if got := g.allow(c.used, c.held); got != c.want || int(g.most.Load()) != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// What is in use, garbage included, leaves room or not for more than was allowed.
func TestMoreMemoryThatClientsMayHold(t *testing.T) {
	for _, c := range []struct {
		name        string
		all, kernel uint64
		want        int
	}{
		{"counted for each of many", 6400, 0, 900_000 + 32_000},
		{"with the kernel's part there is no room", 32_000, 27_800, 10_000},
		{"nor in so little that it is used up at once", 37_900, 0, 10_000},
		{"nor beside that much garbage", 60_000, 0, 10_000},
	} {
		g := memoryGuard{limit: 64_000, inUse: func() (live, all, cycles uint64) { return 0, c.all, 1 }}
		g.most.Store(10_000)
		g.taken.Store(c.kernel)
		if got := g.allowMore(900_000); got != c.want || int(g.most.Load()) != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	g := memoryGuard{limit: 64_000, inUse: func() (live, all, cycles uint64) { return 0, 6400, 1 }}
	g.most.Store(2_000_000) // by another loop, meanwhile
	if got := g.allowMore(900_000); got != 2_000_000 {
		t.Errorf("lowered to %d", got)
	}
}

func TestMemoryLimitIsChecked(t *testing.T) {
	for text, ok := range map[string]bool{"auto": true, "off": true, "64MiB": true, "1MiB": false, "-1": false, "x": false, "unlimited": false} {
		if err := (&memoryFlags{MemoryLimit: text}).check(); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestMemoryIsShared(t *testing.T) {
	const none = math.MaxInt64
	for _, c := range []struct {
		limit   uint64
		own     int64
		auto    bool
		workers int
		share   uint64
		forGo   int64
	}{
		{0, none, true, 4, 0, none},
		{0, none, false, 1, 0, none},
		{1000, none, true, 1, 1000, 900},
		{1000, none, true, 4, 250, 225},
		{1000, 400, true, 4, 100, 100}, // GOMEMLIMIT counts more
		{0, 400, true, 1, 400, 400},
		{1000, 400, false, 4, 250, 225},
		{0, 400, false, 4, 0, 100}, // off
	} {
		if share, forGo := shareMemory(c.limit, c.own, c.auto, c.workers); share != c.share || forGo != c.forGo {
			t.Errorf("%+v: %d and %d", c, share, forGo)
		}
	}
}
