//go:build amd64 || arm64 || loong64

package engine

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// The benchmarks drive a loop by hand over Unix sockets: they count the engine
// and the kernel's part, but no scheduling. One operation is one message (echo)
// or one delivery (publish).

// benchText is JSON-like text of n bytes.
func benchText(n int) []byte {
	return bytes.Repeat([]byte(`{"symbol":"BTC-USD","price":64123.5,"size":2},`), n/46+1)[:n]
}

func BenchmarkEcho(b *testing.B) {
	for _, bc := range []struct {
		name     string
		size, at int
		deflated bool
	}{
		{"20B", 20, 1, false},
		{"20B/16 in one read", 20, 16, false},
		{"512B", 512, 1, false},
		{"16KiB", 16 << 10, 1, false},
		{"1KiB deflated", 1 << 10, 1, true},
	} {
		b.Run(bc.name, func(b *testing.B) {
			l, r := handLoop(b, Behavior{Message: func(c *Conn, msg []byte, op OpCode) { c.Send(msg, op) }})
			c, far := handConn(b, l, r)
			if bc.deflated {
				c.flags |= deflates
				c.window = 15
			}
			input := bytes.Repeat(masked(ws.OpText, benchText(bc.size)), bc.at)
			b.ReportAllocs()
			for i := 0; i < b.N; i += bc.at {
				feed(c, input)
				drainSocket(far)
			}
		})
	}
}

func BenchmarkPublish(b *testing.B) {
	const subscribers = 100
	for _, bc := range []struct {
		size, at int
		deflated bool
	}{
		{64, 1, false},
		{64, 16, false},
		{1 << 10, 4, false},
		{1 << 10, 4, true},
	} {
		name := fmt.Sprintf("%dB/%d a turn", bc.size, bc.at)
		if bc.deflated {
			name += "/deflated"
		}
		b.Run(name, func(b *testing.B) {
			l, r := handLoop(b, Behavior{Message: func(c *Conn, msg []byte, op OpCode) { _ = c.Publish("t", msg, op) }})
			sender, _ := handConn(b, l, r)
			var ends []int
			for range subscribers {
				c, far := handConn(b, l, r)
				if bc.deflated {
					c.flags |= deflates
					c.window = 15
				}
				c.Subscribe("t")
				ends = append(ends, far)
			}
			l.turn(0)
			input := bytes.Repeat(masked(ws.OpText, benchText(bc.size)), bc.at)
			b.ReportAllocs()
			for i := 0; i < b.N; i += bc.at * subscribers {
				feed(sender, input)
				b.StopTimer()
				for _, fd := range ends {
					drainSocket(fd)
				}
				b.StartTimer()
			}
		})
	}
}

func BenchmarkPing(b *testing.B) {
	l, r := handLoop(b, Behavior{})
	c, far := handConn(b, l, r)
	input := masked(ws.OpPing, []byte("12345678"))
	b.ReportAllocs()
	for range b.N {
		feed(c, input)
		drainSocket(far)
	}
}

func BenchmarkSubscribeAndUnsubscribe(b *testing.B) {
	l, r := handLoop(b, Behavior{})
	for range 100 {
		c, _ := handConn(b, l, r)
		c.Subscribe("t")
	}
	c, _ := handConn(b, l, r)
	b.ReportAllocs()
	for range b.N {
		c.Subscribe("t")
		c.Unsubscribe("t")
	}
}

func BenchmarkPost(b *testing.B) {
	l, _ := handLoop(b, Behavior{})
	n := 0
	fn := func() { n++ }
	b.ReportAllocs()
	for range b.N {
		l.Post(fn)
		l.turn(1)
	}
	if n != b.N {
		b.Fatalf("%d of %d functions ran", n, b.N)
	}
}
