package testkit

import (
	"bufio"
	"net"
	"testing"
	"time"
)

func TestProxy(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // echoes lines
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for s := bufio.NewScanner(c); s.Scan(); {
					c.Write(append(s.Bytes(), '\n'))
				}
			}()
		}
	}()
	p := StartProxy(t, l.Addr().String())
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	read := func(within time.Duration) (string, error) {
		c.SetReadDeadline(time.Now().Add(within))
		return r.ReadString('\n')
	}
	c.Write([]byte("1\n"))
	if got, err := read(time.Minute); got != "1\n" {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, tt := range []struct {
		name     string
		up, down bool
	}{{"up", true, false}, {"down", false, true}, {"both", true, true}} {
		p.Stall(tt.up, tt.down)
		c.Write([]byte("2\n"))
		if got, err := read(50 * time.Millisecond); err == nil {
			t.Errorf("stalled %s, but got %q", tt.name, got)
		}
		p.Stall(false, false)
		if got, err := read(time.Minute); got != "2\n" {
			t.Errorf("%s, after a stall: %q, %v", tt.name, got, err)
		}
	}
	p.Refuse(true)
	p.Cut()
	if got, err := read(time.Minute); err == nil {
		t.Errorf("cut, but got %q", got)
	}
}
