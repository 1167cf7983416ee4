package engine

import "testing"

// What waits for slow readers is counted up and down, however it ends.
func TestBufferedBytesAreCounted(t *testing.T) {
	for name, end := range map[string]func(c *Conn, far int){
		"the reader catches up": func(c *Conn, far int) {
			for c.out != nil {
				drainSocket(far)
				c.onWritable()
			}
		},
		"terminated": func(c *Conn, _ int) { c.Terminate() },
		"broken":     func(c *Conn, _ int) { c.broken() },
		"policy": func(c *Conn, far int) {
			c.route.Policy = ClosePolicy
			c.Send(make([]byte, c.route.MaxBackpressure), Binary)
			drainSocket(far)
			c.loop.turn(0)
			c.destroy(CauseServer, 0, "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := handLoop(t, Behavior{MaxPayload: 1 << 20, Policy: DropOldest})
			c, far := handConn(t, l, r)
			for l.stats.Dropped < 3 {
				c.Send(make([]byte, 10<<10), Binary)
				l.turn(0)
			}
			if l.stats.Slow != 1 || l.stats.Buffered != c.out.bytes || c.out.bytes == 0 {
				t.Errorf("%d slow connections, %d bytes buffered, want one, %d", l.stats.Slow, l.stats.Buffered, c.out.bytes)
			}
			end(c, far)
			l.turn(0)
			if l.stats.Slow != 0 || l.stats.Buffered != 0 {
				t.Errorf("afterwards %d slow connections, %d bytes buffered", l.stats.Slow, l.stats.Buffered)
			}
		})
	}
}

func TestEndCode(t *testing.T) {
	for code, want := range map[StatusCode]string{
		1000: "1000", 1003: "1003", 1004: "other", 1005: "1005", 1006: "1006", 1013: "1013", 1014: "other",
		0: "other", 999: "other", 3000: "other", 4000: "4xxx", 4999: "4xxx", 5000: "other",
	} {
		if got := EndCodes[endCode(code)]; got != want {
			t.Errorf("%d counts as %s, want %s", code, got, want)
		}
	}
}

func TestHistogram(t *testing.T) {
	b := Bounds{1, 10}
	var h, sum Histogram
	for _, v := range []uint64{0, 1, 2, 10, 11, 1000} {
		h.observe(b, v)
	}
	sum.Add(&h)
	sum.Add(&h)
	if sum.Counts != [maxBuckets]uint64{4, 4, 4} || sum.Sum != 2*1024 {
		t.Errorf("%+v", sum)
	}
	for _, b := range []Bounds{TurnBounds, HandshakeBounds, LifeBounds, RTTBounds, FanoutBounds} {
		if len(b) >= maxBuckets {
			t.Errorf("%d bounds", len(b))
		}
	}
}
