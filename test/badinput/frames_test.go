package badinput

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// badFrames are broken rules and their close codes. Package conformance has
// them all with every detail; here they come in numbers.
var badFrames = []struct {
	name string
	raw  []byte
	code int
}{
	{"unmasked", []byte("\x81\x05Hello"), 1002},
	{"RSV2", []byte{0xa1, 0x80, 0, 0, 0, 0}, 1002},
	{"RSV3", []byte{0x91, 0x80, 0, 0, 0, 0}, 1002},
	{"RSV1 on a ping", []byte{0xc9, 0x80, 0, 0, 0, 0}, 1002},
	{"opcode 3", []byte{0x83, 0x80, 0, 0, 0, 0}, 1002},
	{"opcode 15", []byte{0x8f, 0x80, 0, 0, 0, 0}, 1002},
	{"fragmented ping", []byte{0x09, 0x80, 0, 0, 0, 0}, 1002},
	{"fragmented close", []byte{0x08, 0x80, 0, 0, 0, 0}, 1002},
	{"ping of 126 bytes", []byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, 1002},
	{"close of 2^16 bytes", []byte{0x88, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 1002},
	{"length 2^31 - 1", header(1<<31 - 1), 1009},
	{"length 2^31", header(1 << 31), 1009},
	{"length 2^32", header(1 << 32), 1009},
	{"length 2^63 - 1", header(1<<63 - 1), 1009},
	{"length 2^63", header(1 << 63), 1002},
	{"length 2^64 - 1", header(1<<64 - 1), 1002},
	{"length 1 in two bytes", []byte{0x82, 0xfe, 0, 1, 0, 0, 0, 0, 'x'}, 1002},
	{"length 1 in eight bytes", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 'x'}, 1002},
	{"length 65535 in eight bytes", []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, 1002},
	{"one byte above the cap", header(limit + 1), 1009},
	{"fragments above the cap", slices.Concat(
		rawws.Frame{Op: rawws.Binary, Payload: make([]byte, limit)}.Bytes(),
		rawws.Frame{Op: rawws.Continuation, Announce: true, Length: 1}.Bytes()), 1009},
	{"fragments beyond 63 bits", slices.Concat(
		rawws.Frame{Op: rawws.Binary, Payload: make([]byte, 5)}.Bytes(),
		rawws.Frame{Op: rawws.Continuation, Announce: true, Length: 1<<63 - 1}.Bytes()), 1009},
	{"inflated above the cap", rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1,
		Payload: rawws.Compress(make([]byte, limit+1), 9)}.Bytes(), 1009},
	{"damaged deflate", rawws.Frame{Fin: true, Op: rawws.Binary, Rsv: rawws.Rsv1, Payload: bytes.Repeat([]byte{0xff}, 50)}.Bytes(), 1007},
	{"continuation of nothing", []byte{0x80, 0x80, 0, 0, 0, 0}, 1002},
	{"message in a message", []byte{0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0}, 1002},
	{"bad UTF-8", rawws.Frame{Fin: true, Op: rawws.Text, Payload: []byte("\xff")}.Bytes(), 1007},
	{"bad UTF-8, not ended", rawws.Frame{Op: rawws.Text, Announce: true, Length: 100, Payload: []byte("good \xed\xa0")}.Bytes(), 1007},
	{"bad UTF-8 across fragments", slices.Concat(
		rawws.Frame{Op: rawws.Text, Payload: []byte("\xe2\x82")}.Bytes(),
		rawws.Frame{Fin: true, Op: rawws.Continuation, Payload: []byte("x")}.Bytes()), 1007},
	{"close code 0", closing("\x00\x00"), 1002},
	{"close code 999", closing("\x03\xe7"), 1002},
	{"close code 1005", closing("\x03\xed"), 1002},
	{"close code 1006", closing("\x03\xee"), 1002},
	{"close code 2999", closing("\x0b\xb7"), 1002},
	{"close code 65535", closing("\xff\xff"), 1002},
	{"close of one byte", closing("\x03"), 1002},
	{"close reason that is no UTF-8", closing("\x03\xe8\xff"), 1007},
}

func header(length uint64) []byte {
	return rawws.Frame{Fin: true, Op: rawws.Binary, Announce: true, Length: length}.Bytes()
}

func closing(payload string) []byte {
	return rawws.Frame{Fin: true, Op: rawws.Close, Payload: []byte(payload)}.Bytes()
}

func TestBadFrames(t *testing.T) {
	tg := start(t, engine.Options{})
	tg.attack(func() {
		tg.together(len(badFrames), func(i int) error {
			b := badFrames[i]
			for range size(20, 500) {
				if err := tg.badFrame(b.raw, b.code); err != nil {
					return fmt.Errorf("%s: %w", b.name, err)
				}
			}
			return nil
		})
	})
}

// badFrame sends raw with more behind it, and wants its close code.
func (tg *target) badFrame(raw []byte, code int) error {
	c, err := rawws.Open(tg.addr, "/echo", pmd)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Send(raw); err != nil {
		return err
	}
	return closedWith(c, code)
}

// TestCloseReasons: a Close frame says nothing of what others have sent.
func TestCloseReasons(t *testing.T) {
	tg := start(t, engine.Options{Loops: 1})
	secret := bytes.Repeat([]byte("#~$^"), limit/4)
	noisy := tg.open("/echo")
	defer noisy.Close()
	tg.attack(func() {
		for _, b := range badFrames {
			if err := noisy.Send(rawws.Frame{Fin: true, Op: rawws.Text, Payload: secret}.Bytes()); err != nil {
				t.Fatal(err)
			}
			if err := expect(noisy, rawws.TextMessage, secret); err != nil {
				t.Fatal(err)
			}
			c := tg.open("/echo")
			c.Send(b.raw)
			e, err := c.Next()
			if err != nil || e.Kind != rawws.CloseFrame || bytes.ContainsAny(e.Payload, "#~$^") {
				t.Errorf("%s: %v, %v", b.name, e, err)
			}
			c.Close()
		}
	})
}

// TestSplitHeaders: a header that comes byte by byte hides nothing.
func TestSplitHeaders(t *testing.T) {
	tg := start(t, engine.Options{})
	tg.attack(func() {
		tg.together(len(badFrames), func(i int) error {
			b := badFrames[i]
			c, err := rawws.Open(tg.addr, "/echo", pmd)
			if err != nil {
				return err
			}
			defer c.Close()
			// The server may have seen enough before the last byte.
			c.SendChopped(b.raw[:min(len(b.raw), 200)], 1)
			c.Send(b.raw[min(len(b.raw), 200):])
			if err := closedWith(c, b.code); err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
			return nil
		})
	})
}

// TestAnnouncedMemory: memory follows the bytes that came, not those announced.
func TestAnnouncedMemory(t *testing.T) {
	tg := start(t, engine.Options{}, func(app *engine.App) {
		app.WS("/big", engine.Behavior{MaxPayload: 64 << 20, Compression: engine.CompressionShared})
	})
	n := size(500, 5000)
	tg.attack(func() {
		all := make([]*rawws.Conn, n)
		for i := range all {
			all[i] = tg.open("/big")
		}
		grown := allocated(func() {
			for i, c := range all {
				f := rawws.Frame{Fin: i%2 == 0, Op: rawws.Binary, Rsv: rawws.Rsv1 * byte(i%3/2), Announce: true, Length: 60 << 20}
				f.Payload = []byte("only this")
				if err := c.Send(f.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			tg.served(tg.good)
		})
		if most := uint64(n) * 8 << 10; grown > most+slackHeap {
			t.Errorf("%d announcements of 60 MiB take %d KiB", n, grown>>10)
		}
		for _, c := range all {
			c.Close()
		}
	})
}
