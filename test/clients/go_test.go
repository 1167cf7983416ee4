package clients

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// client is a conn under test: every failure ends the test.
type client struct {
	*testing.T
	conn
}

func dial(t *testing.T, name, addr, path string, compress bool) client {
	t.Helper()
	c, err := dialers[name]("ws://"+addr+path, compress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.drop)
	return client{t, c}
}

func (c client) next() event {
	c.Helper()
	select {
	case e := <-c.events():
		return e
	case <-time.After(timeout):
		c.Fatal("nothing happened")
		return event{}
	}
}

func (c client) mustSend(text bool, data []byte) {
	c.Helper()
	if err := c.send(text, data); err != nil {
		c.Fatal(err)
	}
}

func (c client) want(kind string, data []byte) {
	c.Helper()
	if e := c.next(); e.kind != kind || !bytes.Equal(e.data, data) {
		c.Fatalf("got %v, want %v", e, event{kind: kind, data: data})
	}
}

func (c client) wantClose(code int) {
	c.Helper()
	if e := c.next(); e.kind != "close" || e.code != code {
		c.Fatalf("got %v, want close %d", e, code)
	}
}

// each runs f for every Go client, with and without compression, against a
// server of every mode.
func each(t *testing.T, f func(t *testing.T, name, addr string, compress, compressed bool)) {
	for _, mode := range modes {
		addr := serve(t, "--compression", mode).Addr
		for name := range dialers {
			for _, compress := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/offer=%v", mode, name, compress), func(t *testing.T) {
					f(t, name, addr, compress, compress && mode != "off")
				})
			}
		}
	}
}

// prose is a text of about n bytes.
func prose(n int) []byte {
	const line = "the quick brown fox jumps over the lazy dog \u20ac "
	return []byte(strings.Repeat(line, n/len(line)+1))
}

func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

func TestGoEcho(t *testing.T) {
	each(t, func(t *testing.T, name, addr string, compress, compressed bool) {
		c := dial(t, name, addr, "/echo", compress)
		if c.compressed() != compressed {
			t.Fatalf("compressed: %v", c.compressed())
		}
		for _, n := range []int{0, 1, 125, 126, 127, 1000, 4096, 16383, 16384} {
			ascii := bytes.Repeat([]byte{'x'}, n)
			c.mustSend(true, ascii)
			c.want("text", ascii)
			c.mustSend(false, noise(n))
			c.want("binary", noise(n))
		}
		for i := range 300 {
			c.mustSend(true, fmt.Appendf(nil, "%d %s", i, ascii(i)))
		}
		for i := range 300 {
			c.want("text", fmt.Appendf(nil, "%d %s", i, ascii(i)))
		}
		for _, payload := range []string{"", "ping", strings.Repeat("p", 125)} {
			if err := c.ping(payload); err != nil {
				t.Fatal(err)
			}
			c.want("pong", []byte(payload))
		}
		if err := c.close(1000, ""); err != nil {
			t.Fatal(err)
		}
	})
}

func ascii(n int) []byte { return bytes.Repeat([]byte("again "), n) }

func TestGoCloseCodes(t *testing.T) {
	each(t, func(t *testing.T, name, addr string, compress, _ bool) {
		for _, code := range []int{1000, 1001, 3000, 4999} {
			c := dial(t, name, addr, "/echo", compress)
			if err := c.close(code, "reason"); err != nil {
				t.Fatalf("close %d: %v", code, err)
			}
			if name == "gorilla" { // the others do not tell the answer's code
				c.wantClose(code)
			}
		}
		c := dial(t, name, addr, "/echo", compress)
		c.mustSend(false, noise(16385))
		c.wantClose(1009)
	})
}

func TestGoTopics(t *testing.T) {
	each(t, func(t *testing.T, name, addr string, compress, _ bool) {
		a := dial(t, name, addr, "/topics/news", compress)
		b := dial(t, name, addr, "/topics/news", compress)
		other := dial(t, name, addr, "/topics/other", compress)
		synced(a, b)
		for i := range 100 {
			a.mustSend(i%2 == 0, prose(i*30))
		}
		for i := range 100 {
			b.want(kinds[i%2 == 0], prose(i*30))
		}
		b.mustSend(true, []byte("answer"))
		a.want("text", []byte("answer"))
		for _, c := range []client{a, b, other} {
			if err := c.ping("the end"); err != nil {
				t.Fatal(err)
			}
			c.want("pong", []byte("the end")) // nothing undelivered came first
			if err := c.close(1000, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// synced waits until the subscriptions of all clients stand.
func synced(all ...client) {
	for _, c := range all {
		c.Helper()
		if err := c.ping("sync"); err != nil {
			c.Fatal(err)
		}
		c.want("pong", []byte("sync"))
	}
}

func TestGoServerGoesAway(t *testing.T) {
	for name := range dialers {
		t.Run(name, func(t *testing.T) {
			p := serve(t)
			c := dial(t, name, p.Addr, "/echo", true)
			synced(c)
			p.Signal(t, syscall.SIGTERM)
			c.wantClose(1001)
			if code := p.Wait(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, p.Log())
			}
		})
	}
}

func TestGoServerIsFull(t *testing.T) {
	addr := serve(t, "--max-connections", "1").Addr
	first := dial(t, "gorilla", addr, "/echo", false)
	synced(first)
	for name := range dialers {
		t.Run(name, func(t *testing.T) {
			dial(t, name, addr, "/echo", true).wantClose(1008)
		})
	}
	synced(first)
}
