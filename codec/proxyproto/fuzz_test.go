package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

// read is the slow oracle: it has all bytes there will be, and goes by the
// specification's order. ok is false for whatever is no header, or not a whole one.
func read(b []byte) (source netip.AddrPort, n int, ok bool) {
	var head struct {
		Signature       [12]byte
		Command, Family uint8
		Length          uint16
	}
	r := bytes.NewReader(b)
	if binary.Read(r, binary.BigEndian, &head) != nil || string(head.Signature[:]) != "\r\n\r\n\x00\r\nQUIT\n" ||
		head.Length > 4096 || r.Len() < int(head.Length) {
		return source, 0, false
	}
	n = 16 + int(head.Length)
	r = bytes.NewReader(b[16:n])
	size := map[uint8]int{0x11: 4, 0x21: 16}[head.Family]
	switch {
	case head.Command == 0x20:
		return source, n, true
	case head.Command != 0x21, head.Family > 0x3F, head.Family&15 > 2:
		return source, 0, false
	case size == 0:
		return source, n, true
	}
	from, to := make(net.IP, size), make(net.IP, size)
	var ports [2]uint16
	for _, part := range []any{from, to, &ports} {
		if binary.Read(r, binary.BigEndian, part) != nil {
			return source, 0, false
		}
	}
	for r.Len() > 0 {
		var tlv struct {
			Type   uint8
			Length uint16
		}
		if binary.Read(r, binary.BigEndian, &tlv) != nil || int(tlv.Length) > r.Len() {
			return source, 0, false
		}
		_, _ = r.Seek(int64(tlv.Length), 1)
	}
	return (&net.TCPAddr{IP: from, Port: int(ports[0])}).AddrPort(), n, true
}

// FuzzParse holds Parse against the oracle, and what it says of the first bytes against
// what it says of all.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.bytes), 7)
	}
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		source, n, err := proxyproto.Parse(b)
		want, length, ok := read(b)
		want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port())
		if (err == nil && n > 0) != ok || ok && (source != want || n != length) {
			t.Fatalf("%x: %v, %d, %v; want %v, %d, %v", b, source, n, err, want, length, ok)
		}
		if n > proxyproto.MaxLen || err == nil && n == 0 && len(b) >= proxyproto.MaxLen {
			t.Fatalf("a header of %d bytes, of %d", n, len(b))
		}
		for i := 0; i < min(len(b), proxyproto.MaxLen+1); i += max(step, 1) {
			someSource, some, someErr := proxyproto.Parse(b[:i])
			switch {
			case some > 0:
				if some != n || someSource != source {
					t.Fatalf("%d bytes: %v, %d; all: %v, %d", i, someSource, some, source, n)
				}
			case someErr != nil:
				if !errors.Is(err, someErr) {
					t.Fatalf("%d bytes: %v; all: %v", i, someErr, err)
				}
			}
		}
		if ok {
			again, _, err := proxyproto.Parse(proxyproto.Append(nil, source))
			if again != source || err != nil {
				t.Fatalf("%v became %v, %v", source, again, err)
			}
		}
	})
}
