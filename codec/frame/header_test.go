package frame_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/fe4bcecb/wsd/codec/frame"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name, in string
		n        int
		want     frame.Header
	}{
		{"RFC 6455 5.7 unmasked text", "81 05", 2,
			frame.Header{Fin: true, OpCode: ws.OpText, Length: 5}},
		{"RFC 6455 5.7 masked text", "81 85 37fa213d", 6,
			frame.Header{Fin: true, OpCode: ws.OpText, Length: 5, Masked: true, Mask: key}},
		{"RFC 6455 5.7 first fragment", "01 03", 2,
			frame.Header{OpCode: ws.OpText, Length: 3}},
		{"RFC 6455 5.7 last fragment", "80 02", 2,
			frame.Header{Fin: true, OpCode: ws.OpContinuation, Length: 2}},
		{"RFC 6455 5.7 256 bytes", "82 7E 0100", 4,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: 256}},
		{"RFC 6455 5.7 64 KiB", "82 7F 0000000000010000", 10,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: 1 << 16}},
		{"empty close", "88 80 00000000", 6,
			frame.Header{Fin: true, OpCode: ws.OpClose, Masked: true}},
		{"longest 7-bit length", "89 7D", 2,
			frame.Header{Fin: true, OpCode: ws.OpPing, Length: 125}},
		{"shortest 16-bit length", "82 7E 007E", 4,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: 126}},
		{"longest 16-bit length", "82 7E FFFF", 4,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: 0xffff}},
		{"2^31", "82 FF 0000000080000000 37fa213d", 14,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: 1 << 31, Masked: true, Mask: key}},
		{"2^63-1", "82 7F 7FFFFFFFFFFFFFFF", 10,
			frame.Header{Fin: true, OpCode: ws.OpBinary, Length: math.MaxInt64}},
		{"RSV1", "C1 00", 2, frame.Header{Fin: true, Rsv: ws.Rsv(true, false, false), OpCode: ws.OpText}},
		{"RSV2", "A1 00", 2, frame.Header{Fin: true, Rsv: ws.Rsv(false, true, false), OpCode: ws.OpText}},
		{"RSV3", "91 00", 2, frame.Header{Fin: true, Rsv: ws.Rsv(false, false, true), OpCode: ws.OpText}},
		{"reserved opcode", "8F 00", 2, frame.Header{Fin: true, OpCode: 0xf}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			for _, behind := range []string{"", "x", "behind the header"} {
				h := frame.Header{Fin: true, Rsv: 7, OpCode: 9, Masked: true, Mask: [4]byte{1}, Length: 9}
				n, err := frame.ParseHeader(append(in, behind...), &h)
				if n != tt.n || err != nil || h != tt.want {
					t.Fatalf("got %d, %v, %+v; want %d, nil, %+v", n, err, h, tt.n, tt.want)
				}
			}
		})
	}
}

// Every start of a good header asks for more.
func TestParseHeaderIncomplete(t *testing.T) {
	for _, length := range []int{0, 125, 126, 0xffff, 0x10000, math.MaxInt32} {
		for _, op := range []frame.OpCode{ws.OpText, ws.OpBinary, ws.OpContinuation} {
			head := frame.AppendMaskedHeader(nil, false, true, op, length, key)
			for cut := range head {
				var h frame.Header
				if n, err := frame.ParseHeader(head[:cut:cut], &h); n != 0 || err != nil {
					t.Errorf("length %d op %d: first %d bytes: got %d, %v", length, op, cut, n, err)
				}
			}
		}
	}
}

// Errors come with the last of the bytes given, and not before.
func TestParseHeaderErrors(t *testing.T) {
	tests := []struct {
		name, in string
		want     error
	}{
		{"16-bit length of 125", "82 7E 007D", frame.ErrLengthNotMinimal},
		{"16-bit length of 0", "82 7E 0000", frame.ErrLengthNotMinimal},
		{"64-bit length of 65535", "82 7F 000000000000", frame.ErrLengthNotMinimal},
		{"64-bit length of 0 in one read", "82 7F 0000000000000000", frame.ErrLengthNotMinimal},
		{"64-bit length of 65535 in one read", "82 7F 000000000000FFFF", frame.ErrLengthNotMinimal},
		{"top bit", "82 7F 80", frame.ErrLengthTopBit},
		{"2^63 in one read", "82 7F 8000000000000000", frame.ErrLengthTopBit},
		{"2^64-1 in one read", "82 FF FFFFFFFFFFFFFFFF 37fa213d", frame.ErrLengthTopBit},
		{"early RSV2", "A1", frame.ErrReservedBits},
		{"early RSV3", "91", frame.ErrReservedBits},
		{"early reserved data opcode", "83", frame.ErrReservedOpCode},
		{"early reserved control opcode", "8B", frame.ErrReservedOpCode},
		{"early fragmented ping", "09", frame.ErrControlFragmented},
		{"early long ping", "89 FE", frame.ErrControlTooLong},
		{"early very long close", "88 FF", frame.ErrControlTooLong},
		{"early reserved opcode before the key", "83 85 37fa21", frame.ErrReservedOpCode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			var h frame.Header
			if n, err := frame.ParseHeader(in, &h); n != 0 || err != tt.want {
				t.Fatalf("got %d, %v; want 0, %v", n, err, tt.want)
			}
			if strings.HasSuffix(tt.name, "in one read") || strings.HasSuffix(tt.name, "before the key") {
				return
			}
			if n, err := frame.ParseHeader(in[:len(in)-1], &h); n != 0 || err != nil {
				t.Fatalf("a byte earlier: got %d, %v; want 0, nil", n, err)
			}
		})
	}
}

func TestAppendHeader(t *testing.T) {
	for _, length := range []int{0, 1, 125, 126, 127, 0xff, 0x100, 0xffff, 0x10000, math.MaxInt32} {
		for bits := range 4 {
			fin, compressed := bits&1 != 0, bits&2 != 0
			want := frame.Header{Fin: fin, Rsv: ws.Rsv(compressed, false, false), OpCode: ws.OpBinary, Length: int64(length)}
			plain := frame.AppendHeader([]byte("before"), fin, compressed, ws.OpBinary, length)
			checkAppended(t, plain, want)
			want.Masked, want.Mask = true, key
			masked := frame.AppendMaskedHeader([]byte("before"), fin, compressed, ws.OpBinary, length, key)
			checkAppended(t, masked, want)
		}
	}
}

func checkAppended(t *testing.T, b []byte, want frame.Header) {
	t.Helper()
	b, ok := bytes.CutPrefix(b, []byte("before"))
	if !ok {
		t.Fatalf("%x: what was there before is gone", b)
	}
	var oracle bytes.Buffer
	if err := ws.WriteHeader(&oracle, want); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, oracle.Bytes()) {
		t.Errorf("appended %x, gobwas writes %x", b, oracle.Bytes())
	}
	var h frame.Header
	if n, err := frame.ParseHeader(b, &h); n != len(b) || err != nil || h != want {
		t.Errorf("%x parses to %d, %v, %+v; want %+v", b, n, err, h, want)
	}
	if size := frame.HeaderSize(int(want.Length), want.Masked); size != len(b) {
		t.Errorf("HeaderSize(%d, %v) = %d; want %d", want.Length, want.Masked, size, len(b))
	}
}

func TestAppendFrame(t *testing.T) {
	got := frame.AppendFrame([]byte{0xaa}, ws.OpText, []byte("Hello"))
	if want := unhex(t, "aa 81 05 48656c6c6f"); !bytes.Equal(got, want) {
		t.Errorf("got %x; want %x", got, want)
	}
}

func TestProtocolError(t *testing.T) {
	var err error = frame.ErrMaskRequired
	if got, want := err.Error(), "frame: frame from a client is not masked (RFC 6455 5.1)"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	var p *frame.ProtocolError
	if !errors.As(err, &p) || p.Code != ws.StatusProtocolError || p.Section != "RFC 6455 5.1" {
		t.Errorf("got %+v", p)
	}
}
