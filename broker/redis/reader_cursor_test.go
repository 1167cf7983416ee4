package redis

import (
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// TestCursorJudge has a reader that began at 10-0, the 5th entry, and has read
// three more, 11-0 to 13-0.
func TestCursorJudge(t *testing.T) {
	id := func(ms uint64) cluster.ID { return cluster.ID{Ms: ms} }
	trimmed := func(n int64) broker.Gap { return broker.Gap{Reason: broker.Trimmed, Lost: n} }
	restarted := broker.Gap{Reason: broker.Restarted, Lost: -1}
	none := broker.Gap{}
	const limit = 10
	for _, tt := range []struct {
		name    string
		t       tip
		k       int // entries behind 13-0 that were read with it
		gap     broker.Gap
		again   bool
		last    uint64
		ordinal int64
	}{
		{"nothing new", tip{true, 8, id(1), id(13), 8}, 0, none, false, 13, 8},
		{"two more", tip{true, 10, id(1), id(15), 10}, 2, none, false, 13, 8},
		{"many more", tip{true, 50, id(1), id(60), 50}, limit, none, false, 13, 8},
		{"what was read is trimmed", tip{true, 2, id(14), id(15), 10}, 2, none, false, 13, 8},
		{"all is trimmed, nothing is new", tip{true, 0, id(0), id(13), 8}, 0, none, false, 13, 8},
		{"one is missing before two more", tip{true, 2, id(15), id(16), 11}, 2, trimmed(1), false, 13, 9},
		{"all that is new is missing", tip{true, 0, id(0), id(16), 11}, 0, trimmed(3), false, 16, 11},
		{"many are missing before many", tip{true, 20, id(44), id(63), 58}, limit, trimmed(30), false, 13, 38},
		{"the stream is gone", tip{}, 0, restarted, true, 0, 0},
		{"it began anew, and ends later", tip{true, 2, id(20), id(21), 2}, 2, restarted, false, 13, 0},
		{"it began anew, is longer, and ends later", tip{true, 9, id(20), id(28), 9}, 9, restarted, false, 13, 0},
		{"it began anew, and there is much", tip{true, 15, id(20), id(35), 15}, limit, restarted, false, 13, -1},
		{"it began anew by a clock that is behind", tip{true, 2, cluster.ID{Ms: 11, Seq: 5}, cluster.ID{Ms: 11, Seq: 6}, 2}, 0, restarted, true, 0, 0},
		{"an old copy", tip{true, 7, id(1), id(12), 7}, 0, restarted, true, 12, 7},
		{"a copy from before the start", tip{true, 3, id(1), id(3), 3}, 0, restarted, true, 3, 3},
		{"an old server, nothing new", tip{true, 8, id(1), id(13), -1}, 0, none, false, 13, -1},
		{"an old server, more", tip{true, 3, id(13), id(15), -1}, 2, none, false, 13, -1},
		{"an old server, some may be missing", tip{true, 2, id(15), id(16), -1}, 2, trimmed(-1), false, 13, -1},
		{"an old server, all that is new is missing", tip{true, 0, id(0), id(16), -1}, 0, trimmed(-1), false, 16, -1},
		{"an old server, the stream is gone", tip{}, 0, restarted, true, 0, 0},
	} {
		c := beginAt(tip{true, 5, id(1), id(10), 5})
		for ms := range uint64(3) {
			c.advance(id(11 + ms))
		}
		gap, again := c.judge(tt.t, tt.k, limit)
		if gap != tt.gap || again != tt.again || c.last != id(tt.last) || c.ordinal != tt.ordinal {
			t.Errorf("%s: gap %+v, again %v, at %v, the %dth; want %+v, %v, %d-0, %d",
				tt.name, gap, again, c.last, c.ordinal, tt.gap, tt.again, tt.last, tt.ordinal)
		}
	}
}

// TestCursorEmpty begins where no stream is.
func TestCursorEmpty(t *testing.T) {
	c := beginAt(tip{})
	for _, tt := range []struct {
		t tip
		k int
	}{{tip{}, 0}, {tip{true, 2, cluster.ID{Ms: 1}, cluster.ID{Ms: 2}, 2}, 2}} {
		if gap, again := c.judge(tt.t, tt.k, 10); gap.Reason != 0 || again || c.ordinal != 0 {
			t.Errorf("%+v: gap %+v, again %v, the %dth", tt.t, gap, again, c.ordinal)
		}
	}
	if gap, _ := c.judge(tip{true, 2, cluster.ID{Ms: 3}, cluster.ID{Ms: 4}, 4}, 2, 10); gap.Lost != 2 {
		t.Errorf("two were trimmed before anything was read: %+v", gap)
	}
}

// TestCursorKnows reads more than is remembered.
func TestCursorKnows(t *testing.T) {
	c := beginAt(tip{true, 5, cluster.ID{Ms: 1}, cluster.ID{Ms: 10}, 5})
	for ms := range uint64(3 * recentIDs) {
		c.advance(cluster.ID{Ms: 100 + 2*ms})
	}
	newest := uint64(100 + 2*(3*recentIDs-1))
	for ms, want := range map[uint64]bool{
		3: true, 10: true, 100: true, 1000: true, 1001: true, // too old to be anything else
		newest: true, newest - 2: true, newest - 1: false, newest + 1: false,
	} {
		if got := c.knows(cluster.ID{Ms: ms}); got != want {
			t.Errorf("%d-0: %v", ms, got)
		}
	}
}
