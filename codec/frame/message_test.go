package frame_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

const (
	fin  = 0x80
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// from is a header with the given first byte and payload length.
func from(b0 byte, length int64) frame.Header {
	return frame.Header{
		Fin:    b0&fin != 0,
		Rsv:    b0 >> 4 & 7,
		OpCode: frame.OpCode(b0 & 0xf),
		Masked: true,
		Mask:   key,
		Length: length,
	}
}

func TestAcceptErrors(t *testing.T) {
	plain := frame.Rules{Masked: true, MaxMessage: 100, MaxCompressed: 120, MaxFragments: 4}
	deflate := plain
	deflate.Deflate = true
	const text, binary, more = byte(ws.OpText), byte(ws.OpBinary), byte(ws.OpContinuation)
	const ping, pong, end = byte(ws.OpPing), byte(ws.OpPong), byte(ws.OpClose)
	type headers = []frame.Header

	tests := []struct {
		name   string
		rules  frame.Rules
		before headers // accepted
		last   frame.Header
		want   *frame.ProtocolError
		code   frame.StatusCode
	}{
		{"RSV1 without compression", plain, nil, from(fin|rsv1|text, 1), frame.ErrCompressedBit, 1002},
		{"RSV2", plain, nil, from(fin|rsv2|text, 1), frame.ErrReservedBits, 1002},
		{"RSV3", plain, nil, from(fin|rsv3|binary, 1), frame.ErrReservedBits, 1002},
		{"RSV2 with compression", deflate, nil, from(fin|rsv2|text, 1), frame.ErrReservedBits, 1002},
		{"RSV1 and RSV3 with compression", deflate, nil, from(fin|rsv1|rsv3|text, 1), frame.ErrReservedBits, 1002},
		{"RSV1 on a ping", deflate, nil, from(fin|rsv1|ping, 1), frame.ErrCompressedPlace, 1002},
		{"RSV1 on a close", plain, nil, from(fin|rsv1|end, 2), frame.ErrCompressedPlace, 1002},
		{"RSV2 on a pong", plain, nil, from(fin|rsv2|pong, 0), frame.ErrReservedBits, 1002},
		{"RSV1 on a continuation", deflate, headers{from(rsv1|text, 1)}, from(fin|rsv1|more, 1), frame.ErrCompressedPlace, 1002},
		{"RSV2 on a continuation", deflate, headers{from(rsv1|text, 1)}, from(fin|rsv2|more, 1), frame.ErrReservedBits, 1002},
		{"opcode 3", plain, nil, from(fin|3, 0), frame.ErrReservedOpCode, 1002},
		{"opcode 7", plain, headers{from(text, 1)}, from(7, 0), frame.ErrReservedOpCode, 1002},
		{"opcode 11", plain, nil, from(fin|11, 0), frame.ErrReservedOpCode, 1002},
		{"opcode 15", plain, nil, from(fin|15, 0), frame.ErrReservedOpCode, 1002},
		{"fragmented ping", plain, nil, from(ping, 0), frame.ErrControlFragmented, 1002},
		{"fragmented close", plain, headers{from(text, 1)}, from(end, 0), frame.ErrControlFragmented, 1002},
		{"long ping", plain, nil, from(fin|ping, 126), frame.ErrControlTooLong, 1002},
		{"long close", plain, nil, from(fin|end, math.MaxInt64), frame.ErrControlTooLong, 1002},
		{"continuation first", plain, nil, from(fin|more, 1), frame.ErrNoMessage, 1002},
		{"continuation after a message", plain, headers{from(fin|text, 1)}, from(fin|more, 1), frame.ErrNoMessage, 1002},
		{"continuation after the last", plain, headers{from(text, 1), from(fin|more, 1)}, from(more, 1), frame.ErrNoMessage, 1002},
		{"text inside a message", plain, headers{from(text, 1)}, from(fin|text, 1), frame.ErrMessageOpen, 1002},
		{"binary behind a ping inside a message", plain, headers{from(text, 1), from(more, 0), from(fin|ping, 0)}, from(binary, 1), frame.ErrMessageOpen, 1002},
		{"over the cap", plain, nil, from(fin|text, 101), frame.ErrMessageTooBig, 1009},
		{"2^63-1", plain, nil, from(fin|text, math.MaxInt64), frame.ErrMessageTooBig, 1009},
		{"over the cap in sum", plain, headers{from(text, 60)}, from(more, 41), frame.ErrMessageTooBig, 1009},
		{"sum beyond int64", frame.Rules{Masked: true}, headers{from(text, math.MaxInt64)}, from(more, 1), frame.ErrMessageTooBig, 1009},
		{"sum far beyond int64", plain, headers{from(text, 100)}, from(more, math.MaxInt64), frame.ErrMessageTooBig, 1009},
		{"compressed over its cap", deflate, nil, from(fin|rsv1|text, 121), frame.ErrMessageTooBig, 1009},
		{"compressed over its cap in sum", deflate, headers{from(rsv1|text, 110)}, from(fin|more, 11), frame.ErrMessageTooBig, 1009},
		{"uncompressed over its cap with compression", deflate, nil, from(fin|text, 101), frame.ErrMessageTooBig, 1009},
		{"too many fragments", plain, headers{from(text, 0), from(more, 0), from(more, 0), from(more, 0)}, from(fin|more, 0), frame.ErrTooManyFragments, 1009},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m frame.Message
			for i := range tt.before {
				if err := m.Accept(&tt.before[i], &tt.rules); err != nil {
					t.Fatalf("header %d: %v", i, err)
				}
			}
			before := m
			if err := m.Accept(&tt.last, &tt.rules); err != tt.want {
				t.Fatalf("got %v; want %v", err, tt.want)
			}
			if m != before {
				t.Errorf("an error changed the message: %+v, was %+v", m, before)
			}
			if tt.want.Code != tt.code {
				t.Errorf("close code %d; want %d", tt.want.Code, tt.code)
			}
		})
	}
}

func TestAcceptMask(t *testing.T) {
	for _, op := range []frame.OpCode{ws.OpText, ws.OpPing, ws.OpContinuation, 0xf} {
		var m frame.Message
		h := frame.Header{Fin: true, OpCode: op}
		if err := m.Accept(&h, &frame.Rules{Masked: true}); err != frame.ErrMaskRequired {
			t.Errorf("opcode %d unmasked from a client: %v", op, err)
		}
		h.Masked = true
		if err := m.Accept(&h, &frame.Rules{}); err != frame.ErrMaskForbidden {
			t.Errorf("opcode %d masked from a server: %v", op, err)
		}
	}
}

func TestAcceptAdvances(t *testing.T) {
	rules := &frame.Rules{Masked: true, Deflate: true, MaxMessage: 10, MaxCompressed: 12, MaxFragments: 3}
	var m frame.Message
	step := func(h frame.Header, want frame.Message, open bool) {
		t.Helper()
		if err := m.Accept(&h, rules); err != nil {
			t.Fatal(err)
		}
		got := frame.Message{Size: m.Size, Fragments: m.Fragments, Op: m.Op, Compressed: m.Compressed, Done: m.Done}
		if got != want || m.Open() != open {
			t.Fatalf("got %+v, open %v; want %+v, open %v", got, m.Open(), want, open)
		}
	}
	step(from(fin|byte(ws.OpPing), 125), frame.Message{}, false)
	step(from(fin|byte(ws.OpText), 10), frame.Message{Size: 10, Fragments: 1, Op: ws.OpText, Done: true}, false)
	m.Reset()
	if m != (frame.Message{}) {
		t.Fatalf("after Reset: %+v", m)
	}
	step(from(rsv1|byte(ws.OpBinary), 5), frame.Message{Size: 5, Fragments: 1, Op: ws.OpBinary, Compressed: true}, true)
	step(from(fin|byte(ws.OpPong), 0), frame.Message{Size: 5, Fragments: 1, Op: ws.OpBinary, Compressed: true}, true)
	step(from(0, 7), frame.Message{Size: 12, Fragments: 2, Op: ws.OpBinary, Compressed: true}, true)
	step(from(fin, 0), frame.Message{Size: 12, Fragments: 3, Op: ws.OpBinary, Compressed: true, Done: true}, false)
	step(from(byte(ws.OpText), 1), frame.Message{Size: 1, Fragments: 1, Op: ws.OpText}, true)
}

func TestAcceptWithoutLimits(t *testing.T) {
	var m frame.Message
	rules := &frame.Rules{Masked: true, Deflate: true}
	first, more := from(rsv1|byte(ws.OpBinary), 1<<40), from(0, 1<<40)
	if err := m.Accept(&first, rules); err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if err := m.Accept(&more, rules); err != nil {
			t.Fatal(err)
		}
	}
	if m.Size != 1001<<40 || m.Fragments != 1001 {
		t.Errorf("got %+v", m)
	}
}

func TestMessageIsSmall(t *testing.T) {
	if size := reflect.TypeFor[frame.Message]().Size(); size > 24 {
		t.Errorf("a Message is %d bytes; it lies in every connection, at most 24", size)
	}
}
