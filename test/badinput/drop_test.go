package badinput

import (
	"bytes"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// leave is how a client goes.
type leave struct {
	name string
	go_  func(*rawws.Conn) error
}

var leaves = []leave{
	{"close", func(c *rawws.Conn) error { return c.Close() }},
	{"reset", func(c *rawws.Conn) error { return c.Reset() }},
	{"half-close", func(c *rawws.Conn) error {
		if err := c.HalfClose(); err != nil {
			return err
		}
		// The server must end its side as well, whatever it says before.
		for {
			buf := make([]byte, 4096)
			if _, err := c.Read(buf); err != nil {
				return c.Close()
			}
		}
	}},
}

// TestLeavingInTheHandshake cuts the request at every byte.
func TestLeavingInTheHandshake(t *testing.T) {
	tg := start(t, engine.Options{})
	upgrade := []byte(rawws.Request(tg.addr, "/echo", "Sec-WebSocket-Extensions: "+pmd))
	plain := []byte("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
	tg.attack(func() {
		for _, raw := range [][]byte{upgrade, plain} {
			tg.leaveEverywhere(raw, tg.dial)
		}
	})
}

// TestLeavingInTheConversation cuts frames at every byte.
func TestLeavingInTheConversation(t *testing.T) {
	tg := start(t, engine.Options{})
	text := []byte("some text that goes on for a while")
	conversation := slices.Concat(
		rawws.Frame{Fin: true, Op: rawws.Text, Payload: text}.Bytes(),
		rawws.Frame{Op: rawws.Text, Payload: text}.Bytes(),
		rawws.Frame{Fin: true, Op: rawws.Ping, Payload: []byte("ping")}.Bytes(),
		rawws.Frame{Fin: true, Payload: text}.Bytes(),
		rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Payload: rawws.Compress(text, 6)}.Bytes(),
		rawws.Frame{Fin: true, Op: rawws.Binary, Payload: bytes.Repeat(text, 4)}.Bytes(),
		rawws.Frame{Fin: true, Op: rawws.Close, Payload: rawws.ClosePayload(1000, "bye")}.Bytes(),
	)
	tg.attack(func() {
		tg.leaveEverywhere(conversation, func() *rawws.Conn { return tg.open("/echo") })
	})
}

func (tg *target) leaveEverywhere(raw []byte, connect func() *rawws.Conn) {
	for _, how := range leaves {
		for n := range len(raw) + 1 {
			c := connect()
			if err := c.Send(raw[:n]); err != nil {
				tg.Fatal(err)
			}
			if err := how.go_(c); err != nil {
				tg.Errorf("%s after %d bytes: %v", how.name, n, err)
			}
		}
	}
}

// TestLeavingWithoutReading: answers that nobody takes end with the connection.
func TestLeavingWithoutReading(t *testing.T) {
	tg := start(t, engine.Options{})
	flood := bytes.Repeat(rawws.Frame{Fin: true, Op: rawws.Binary, Payload: make([]byte, limit)}.Bytes(), 8)
	tg.attack(func() {
		for i := range size(60, 1000) {
			c := tg.open("/echo")
			c.Send(flood)
			if i%2 == 0 {
				c.Reset()
			} else {
				c.Close()
			}
		}
	})
}

// TestAnswersAfterHalfClose: what was sent before the half-close is answered.
func TestAnswersAfterHalfClose(t *testing.T) {
	tg := start(t, engine.Options{})
	hello := rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("hello")}.Bytes()
	tg.attack(func() {
		for range size(50, 1000) {
			c := tg.open("/echo")
			c.Send(bytes.Repeat(hello, 100))
			c.HalfClose()
			for i := range 100 {
				if err := expect(c, rawws.TextMessage, []byte("hello")); err != nil {
					t.Fatalf("answer %d: %v", i, err)
				}
			}
			c.Close()
		}
	})
}
