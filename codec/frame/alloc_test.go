package frame_test

import (
	"testing"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// A message's whole way through the package, good or bad, allocates nothing.
func TestNoAllocations(t *testing.T) {
	payload := []byte("grüße, and then 20 bytes of ASCII and some more, to and fro")
	in := frame.AppendMaskedHeader(nil, true, false, ws.OpText, len(payload), key)
	in = append(in, maskSlow(payload, key, 0)...)
	bad := []byte{0x83, 0x80, 1, 2, 3, 4}
	rules := &frame.Rules{Masked: true, MaxMessage: 1 << 10}
	work, out := make([]byte, len(in)), make([]byte, 0, 2*len(in))
	var h frame.Header
	var m frame.Message
	var u frame.UTF8

	echo := func() {
		copy(work, in)
		n, err := frame.ParseHeader(work, &h)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		if err := m.Accept(&h, rules); err != nil {
			t.Fatal(err)
		}
		frame.Mask(work[n:], h.Mask, 0)
		frame.MaskCopy(out[:h.Length], work[n:], h.Mask, 3)
		if !u.Write(work[n:]) || !u.Complete() {
			t.Fatal("not UTF-8")
		}
		out = frame.AppendFrame(out[:0], m.Op, work[n:])
		m.Reset()
	}
	refuse := func() {
		if n, err := frame.ParseHeader(bad, &h); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		if err := m.Accept(&h, rules); err != frame.ErrReservedOpCode {
			t.Fatal(err)
		}
		out = frame.AppendHeader(out[:0], true, false, ws.OpClose, 2)
		out = frame.AppendClose(out, ws.StatusProtocolError, "reserved opcode")
		if _, _, err := frame.ParseClose(out[2:]); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]func(){"echo": echo, "refuse": refuse} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
