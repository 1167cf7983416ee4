package frame_test

import (
	"bytes"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// receiver is a reader of frames as an engine would write one: it is fed bytes
// in pieces, unmasks payload as it comes, and keeps only what is unfinished.
type receiver struct {
	rules   frame.Rules
	pending []byte // an unfinished header
	h       frame.Header
	left    int64 // payload of h still to come
	inFrame bool
	message frame.Message
	text    frame.UTF8
	data    []byte // payload of the message
	control []byte // payload of the control frame
	events  []string
}

func (r *receiver) feed(p []byte) error {
	for {
		if r.inFrame {
			n := min(r.left, int64(len(p)))
			if err := r.payload(p[:n]); err != nil {
				return err
			}
			p = p[n:]
			if r.left > 0 {
				return nil
			}
			r.endFrame()
		}
		if len(p) == 0 {
			return nil
		}
		r.pending = append(r.pending, p...)
		n, err := frame.ParseHeader(r.pending, &r.h)
		if err != nil || n == 0 {
			return err
		}
		if err := r.message.Accept(&r.h, &r.rules); err != nil {
			return err
		}
		p = bytes.Clone(r.pending[n:])
		r.pending = r.pending[:0]
		r.inFrame, r.left = true, r.h.Length
	}
}

func (r *receiver) payload(p []byte) error {
	p = bytes.Clone(p)
	frame.Mask(p, r.h.Mask, int(r.h.Length-r.left))
	r.left -= int64(len(p))
	if r.h.OpCode.IsControl() {
		r.control = append(r.control, p...)
		return nil
	}
	r.data = append(r.data, p...)
	if r.message.Op != ws.OpText || r.message.Compressed {
		return nil
	}
	if !r.text.Write(p) || r.left == 0 && r.message.Done && !r.text.Complete() {
		return frame.ErrInvalidUTF8
	}
	return nil
}

func (r *receiver) endFrame() {
	r.inFrame = false
	if r.h.OpCode.IsControl() {
		r.events = append(r.events, event(r.h.OpCode, false, r.control))
		r.control = r.control[:0]
		return
	}
	if r.message.Done {
		r.events = append(r.events, event(r.message.Op, r.message.Compressed, r.data))
		r.data = r.data[:0]
		r.message.Reset()
		r.text.Reset()
	}
}

func event(op frame.OpCode, compressed bool, payload []byte) string {
	return fmt.Sprintf("%x %v %x", op, compressed, payload)
}

// oracle reads a stream from its start, by the RFC's words, without any regard
// to speed. It returns what a receiver delivers and every rule that the stream
// has broken by now (at its first fault), none when it may go on.
type oracle struct {
	rules  frame.Rules
	in     []byte
	events []string
	broken map[error]bool

	op         int // of the open message, 0 for none
	compressed bool
	fragments  int
	size       *big.Int
	data       []byte
}

// bits takes n bits from the stream's bit position at.
func bits(in []byte, at, n int) *big.Int {
	v := new(big.Int)
	for i := at; i < at+n; i++ {
		v.Lsh(v, 1)
		v.Or(v, big.NewInt(int64(in[i/8]>>(7-i%8)&1)))
	}
	return v
}

func (o *oracle) breaks(rule error, when bool) {
	if when {
		o.broken[rule] = true
	}
}

func (o *oracle) run() {
	o.broken = map[error]bool{}
	o.size = new(big.Int)
	for len(o.in) > 0 && o.frame() && len(o.broken) == 0 {
	}
}

// frame reads one frame and reports whether all of it was there.
func (o *oracle) frame() bool {
	have := len(o.in) * 8
	bit := func(at int) bool { return bits(o.in, at, 1).Sign() > 0 }
	fin, rsv1, rsv2, rsv3 := bit(0), bit(1), bit(2), bit(3)
	op := int(bits(o.in, 4, 4).Int64())
	control := op >= 8
	o.breaks(frame.ErrReservedBits, rsv2 || rsv3)
	o.breaks(frame.ErrReservedOpCode, op > 2 && op < 8 || op > 10)
	o.breaks(frame.ErrControlFragmented, control && !fin)
	if have < 16 {
		return false
	}

	masked, length := bit(8), bits(o.in, 9, 7)
	o.breaks(frame.ErrControlTooLong, control && length.Int64() > 125)
	at := 16
	if wide := map[int64]int{126: 16, 127: 64}[length.Int64()]; wide > 0 {
		// The minimal length of a frame with a 64-bit length has a one among
		// the first 48 bits, and its first bit is zero.
		o.breaks(frame.ErrLengthTopBit, wide == 64 && have >= at+8 && bit(at))
		o.breaks(frame.ErrLengthNotMinimal, wide == 64 && have >= at+48 && bits(o.in, at, 48).Sign() == 0)
		if have < at+wide {
			return false
		}
		length = bits(o.in, at, wide)
		o.breaks(frame.ErrLengthNotMinimal, length.Int64() < 126)
		at += wide
	}
	var key []byte
	if masked {
		if have < at+32 {
			return false
		}
		key = o.in[at/8 : at/8+4]
		at += 32
	}
	o.header(fin, rsv1, op, masked, length)
	if len(o.broken) > 0 {
		return false
	}

	rest := o.in[at/8:]
	whole := length.Cmp(big.NewInt(int64(len(rest)))) <= 0
	payload := rest
	if whole {
		payload = rest[:length.Int64()]
	}
	if masked {
		payload = maskSlow(payload, [4]byte(key), 0)
	}
	o.in = rest[len(payload):]
	if control {
		if whole {
			o.events = append(o.events, event(frame.OpCode(op), false, payload))
		}
		return whole
	}
	return o.content(payload, fin, whole)
}

// header applies the rules that need the whole header and the connection.
func (o *oracle) header(fin, rsv1 bool, op int, masked bool, length *big.Int) {
	o.breaks(frame.ErrMaskRequired, o.rules.Masked && !masked)
	o.breaks(frame.ErrMaskForbidden, !o.rules.Masked && masked)
	first := op == 1 || op == 2
	o.breaks(frame.ErrCompressedBit, rsv1 && !o.rules.Deflate)
	o.breaks(frame.ErrCompressedPlace, rsv1 && !first)
	o.breaks(frame.ErrNoMessage, op == 0 && o.op == 0)
	o.breaks(frame.ErrMessageOpen, first && o.op != 0)
	if len(o.broken) > 0 || op > 2 {
		return
	}
	if first {
		o.op, o.compressed, o.fragments, o.data = op, rsv1, 0, nil
		o.size.SetInt64(0)
	}
	o.size.Add(o.size, length)
	o.fragments++
	limit := o.rules.MaxMessage
	if o.compressed {
		limit = o.rules.MaxCompressed
	}
	if limit <= 0 {
		limit = 1<<63 - 1
	}
	o.breaks(frame.ErrMessageTooBig, o.size.Cmp(big.NewInt(limit)) > 0)
	o.breaks(frame.ErrTooManyFragments, o.rules.MaxFragments > 0 && o.fragments > o.rules.MaxFragments)
}

// content takes payload of the open message and reports whether the frame was
// whole.
func (o *oracle) content(payload []byte, fin, whole bool) bool {
	o.data = append(o.data, payload...)
	if o.op == 1 && !o.compressed {
		fault, complete := utf8Fault(o.data)
		o.breaks(frame.ErrInvalidUTF8, fault > 0 || whole && fin && !complete)
	}
	if len(o.broken) == 0 && whole && fin {
		o.events = append(o.events, event(frame.OpCode(o.op), o.compressed, o.data))
		o.op = 0
	}
	return whole
}

// checkFrames feeds stream to a receiver in random pieces and holds what it
// delivered, and when and why it failed, against the oracle's view of the same
// bytes.
func checkFrames(t *testing.T, stream []byte, rules frame.Rules, seed uint64) {
	t.Helper()
	r := receiver{rules: rules}
	random := rand.New(rand.NewPCG(seed, 2))
	for at := 0; at < len(stream); {
		end := at + 1 + random.IntN(min(1<<random.IntN(8), len(stream)-at))
		err := r.feed(stream[at:end])
		at = end

		o := oracle{rules: rules, in: stream[:at]}
		o.run()
		if len(r.events) != len(o.events) {
			t.Fatalf("after %d bytes: delivered %q; want %q", at, r.events, o.events)
		}
		for i := range r.events {
			if r.events[i] != o.events[i] {
				t.Fatalf("after %d bytes: delivery %d is %q; want %q", at, i, r.events[i], o.events[i])
			}
		}
		if err == nil && len(o.broken) > 0 || err != nil && !o.broken[err] {
			t.Fatalf("after %d bytes: failed with %v; want one of %v", at, err, o.broken)
		}
		if err != nil {
			return
		}
	}
}

// randomStream is a stream of mostly right frames.
func randomStream(r *rand.Rand, rules frame.Rules) []byte {
	var stream []byte
	open := false
	words := []string{"", "a", "grüße", "привет", "€", "\xe2\x82", "\xac", "\xff", "plain text of some length"}
	fault := func() bool { return r.IntN(60) == 0 }
	for range 1 + r.IntN(12) {
		var payload []byte
		for range r.IntN(4) {
			payload = append(payload, words[r.IntN(len(words)-r.IntN(4))]...)
		}
		if r.IntN(12) == 0 {
			payload = append(payload, bytes.Repeat([]byte("long "), r.IntN(60))...)
		}
		op, final := frame.OpCode(1+r.IntN(2)), r.IntN(3) > 0
		compressed := rules.Deflate && r.IntN(2) == 0
		switch {
		case r.IntN(4) == 0 && len(payload) <= frame.MaxControlPayload || fault():
			op, final, compressed = frame.OpCode(8+r.IntN(3)), true, false
		case open != fault():
			op, compressed = ws.OpContinuation, false
			open = !final
		default:
			open = !final
		}
		at := len(stream)
		if rules.Masked != fault() {
			k := [4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
			stream = frame.AppendMaskedHeader(stream, final, compressed, op, len(payload), k)
			stream = append(stream, maskSlow(payload, k, 0)...)
		} else {
			stream = frame.AppendHeader(stream, final, compressed, op, len(payload))
			stream = append(stream, payload...)
		}
		if fault() {
			stream[at+r.IntN(2)] ^= 1 << r.IntN(8)
		}
	}
	return stream
}

func TestRandomStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	delivered := 0
	for range 4000 {
		rules := frame.Rules{
			Masked: r.IntN(4) > 0, Deflate: r.IntN(2) == 0,
			MaxMessage: int64(r.IntN(3)) * 100, MaxCompressed: int64(r.IntN(3)) * 100, MaxFragments: r.IntN(3) * 2,
		}
		stream := randomStream(r, rules)
		checkFrames(t, stream, rules, r.Uint64())
		o := oracle{rules: rules, in: stream}
		o.run()
		delivered += len(o.events)
	}
	if delivered < 4000 {
		t.Errorf("only %d events: the streams are too bad to test much", delivered)
	}
}

func FuzzFrames(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 5))
	for i := range 40 {
		rules := frame.Rules{Masked: i%4 > 0, Deflate: i%2 == 0}
		f.Add(randomStream(r, rules), rules.Masked, rules.Deflate, uint16(i*20), uint16(i*25), uint8(i), r.Uint64())
	}
	for _, s := range []string{
		"82 FF 7FFFFFFFFFFFFFFF 37fa213d 00",
		"02 FF 7FFFFFFFFFFFFFFF 37fa213d 00 80 81 37fa213d 00",
		"82 FF 8000000000000000 37fa213d",
		"82 FE 007D 37fa213d",
		"01 83 00000000 e28261 80 80 00000000",
		"88 82 37fa213d 3412",
		"C1 87 00000000 f248cdc9c90700",
	} {
		f.Add(unhex(f, s), true, true, uint16(0), uint16(0), uint8(0), uint64(len(s)))
	}
	f.Fuzz(func(t *testing.T, stream []byte, masked, deflate bool, maxMessage, maxCompressed uint16, maxFragments uint8, seed uint64) {
		checkFrames(t, stream[:min(len(stream), 1024)], frame.Rules{
			Masked: masked, Deflate: deflate,
			MaxMessage: int64(maxMessage), MaxCompressed: int64(maxCompressed), MaxFragments: int(maxFragments),
		}, seed)
	})
}

func FuzzUTF8(f *testing.F) {
	for _, s := range []string{
		"", "Hello", "κόσμε and plain ASCII behind it, of some length", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf",
		"\xed\xa0\x80", "\xe0\x80\xaf", "\xc0\xaf", "\xf4\x90\x80\x80", "\xf5", "12345678\xe2\x82",
		"12345678901234567890123456789012345678901234567890123456789012345\xff", "\xce\xba\xe1\xbd\xb9\xed\xa0\x80edited",
	} {
		f.Add([]byte(s), []byte{3, 1, 8})
	}
	f.Fuzz(func(t *testing.T, p, cuts []byte) {
		pieces := make([]int, len(cuts))
		for i, c := range cuts {
			pieces[i] = 1 + int(c)
		}
		checkUTF8(t, p, pieces)
		if cut := frame.AppendClose(nil, ws.StatusNormalClosure, string(p)); len(cut) > frame.MaxControlPayload || !utf8.Valid(cut[2:]) {
			t.Errorf("close payload %x", cut)
		}
	})
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x37fa213d), uint16(0), uint16(2))
	f.Add(randomBytes(300), uint32(0x01020304), uint16(3), uint16(257))
	f.Add(randomBytes(5000), uint32(0xfffefdfc), uint16(1), uint16(4099))
	f.Fuzz(func(t *testing.T, p []byte, k uint32, offset, cut uint16) {
		key := [4]byte{byte(k >> 24), byte(k >> 16), byte(k >> 8), byte(k)}
		want := maskSlow(p, key, int(offset))
		split := min(int(cut), len(p))

		got := bytes.Clone(p)
		frame.Mask(got[:split], key, int(offset))
		frame.Mask(got[split:], key, int(offset)+split)
		if !bytes.Equal(got, want) {
			t.Fatalf("Mask: %x; want %x", got, want)
		}
		clear(got)
		frame.MaskCopy(got, p[:split], key, int(offset))
		frame.MaskCopy(got[split:], p[split:], key, int(offset)+split)
		if !bytes.Equal(got, want) {
			t.Fatalf("MaskCopy: %x; want %x", got, want)
		}
	})
}
