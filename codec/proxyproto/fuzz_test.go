package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

// lineOf is a header of version 1, as the specification describes it.
var lineOf = regexp.MustCompile(`^PROXY (?:UNKNOWN(?: .*)?|TCP4 ([0-9.]+) ([0-9.]+) (0|[1-9][0-9]*) (0|[1-9][0-9]*)|TCP6 ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9][0-9]*) (0|[1-9][0-9]*))\r$`)

// read is the slow oracle: it has all bytes there will be, and goes by the
// specification's order. ok is false for whatever is no header, or not a whole one.
func read(b []byte) (h proxyproto.Header, n int, ok bool) {
	if bytes.HasPrefix(b, []byte("PROXY ")) {
		return readLine(b)
	}
	var head struct {
		Signature       [12]byte
		Command, Family uint8
		Length          uint16
	}
	r := bytes.NewReader(b)
	if binary.Read(r, binary.BigEndian, &head) != nil || string(head.Signature[:]) != "\r\n\r\n\x00\r\nQUIT\n" ||
		head.Length > 4096 || r.Len() < int(head.Length) {
		return h, 0, false
	}
	n = 16 + int(head.Length)
	r = bytes.NewReader(b[16:n])
	size := map[uint8]int{0x11: 4, 0x21: 16}[head.Family]
	switch {
	case head.Command == 0x20:
		return h, n, true
	case head.Command != 0x21, head.Family > 0x3F, head.Family&15 > 2:
		return h, 0, false
	case size == 0:
		return h, n, true
	}
	from, to := make(net.IP, size), make(net.IP, size)
	var ports [2]uint16
	for _, part := range []any{from, to, &ports} {
		if binary.Read(r, binary.BigEndian, part) != nil {
			return h, 0, false
		}
	}
	all, ok := readTLVs(b[n-r.Len() : n])
	for _, x := range all {
		switch {
		case x.Type == 3:
			start := n - r.Len() + x.at
			zeroed := slices.Concat(b[:start], make([]byte, len(x.value)), b[start+len(x.value):n])
			ok = ok && len(x.value) == 4 && binary.BigEndian.Uint32(x.value) == slowSum(zeroed)
		case x.Type == 0x20 && len(x.value) < 5:
			ok = false
		case x.Type == 0x20:
			_, whole := readTLVs(x.value[5:])
			ok, h.TLS = ok && whole, x.value[0]%2 == 1
		}
	}
	if !ok {
		return proxyproto.Header{}, 0, false
	}
	source := (&net.TCPAddr{IP: from, Port: int(ports[0])}).AddrPort()
	h.Source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
	return h, n, true
}

// readLine is read for version 1.
func readLine(b []byte) (h proxyproto.Header, n int, ok bool) {
	text, _, ended := strings.Cut(string(b), "\n")
	parts := lineOf.FindStringSubmatch(text)
	if !ended || len(text) > 106 || parts == nil {
		return h, 0, false
	}
	n = len(text) + 1
	if strings.HasPrefix(text, "PROXY UNKNOWN") {
		return h, n, true
	}
	ends, bits := parts[1:5], 32
	if parts[1] == "" {
		ends, bits = parts[5:], 128
	}
	for i, x := range []string{"[" + ends[1] + "]:" + ends[3], "[" + ends[0] + "]:" + ends[2]} {
		if bits == 32 {
			x = strings.NewReplacer("[", "", "]", "").Replace(x)
		}
		end, err := netip.ParseAddrPort(x)
		if err != nil || end.Addr().BitLen() != bits {
			return proxyproto.Header{}, 0, false
		}
		if i == 1 {
			h.Source = netip.AddrPortFrom(end.Addr().Unmap(), end.Port())
		}
	}
	return h, n, true
}

// tlv is one, with the place of its value in the row.
type tlv struct {
	Type  uint8
	value []byte
	at    int
}

// readTLVs reads a row; whole is false where it is cut off.
func readTLVs(b []byte) (all []tlv, whole bool) {
	r := bytes.NewReader(b)
	for r.Len() > 0 {
		var head struct {
			Type   uint8
			Length uint16
		}
		if binary.Read(r, binary.BigEndian, &head) != nil || int(head.Length) > r.Len() {
			return nil, false
		}
		at := len(b) - r.Len()
		all = append(all, tlv{head.Type, b[at : at+int(head.Length)], at})
		_, _ = r.Seek(int64(head.Length), 1)
	}
	return all, true
}

// slowSum is CRC32c, bit by bit.
func slowSum(b []byte) uint32 {
	crc := ^uint32(0)
	for _, x := range b {
		crc ^= uint32(x)
		for range 8 {
			crc = crc>>1 ^ crc&1*0x82F63B78
		}
	}
	return ^crc
}

// FuzzParse holds Parse against the oracle, and what it says of the first bytes against
// what it says of all.
func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		f.Add(unhex(f, v.bytes), 7)
	}
	f.Add([]byte{}, 1)
	if slowSum([]byte("123456789")) != 0xE3069283 { // the check value of CRC-32C
		f.Fatal("the oracle's checksum is none")
	}
	f.Fuzz(func(t *testing.T, b []byte, step int) {
		hold(t, b, step)
		hold(t, summed(b), step)
	})
}

// summed gives a header the right checksum, in the first four bytes behind addresses of
// TCP over IPv4 that may be one: who alters bytes at random never finds it.
func summed(b []byte) []byte {
	const at = 16 + 12
	if len(b) < at+7 {
		return b
	}
	b = slices.Clone(b)
	copy(b[at:], "\x03\x00\x04\x00\x00\x00\x00")
	if n := 16 + int(binary.BigEndian.Uint16(b[14:])); n >= at+7 && n <= len(b) {
		binary.BigEndian.PutUint32(b[at+3:], slowSum(b[:n]))
	}
	return b
}

// hold holds Parse against the oracle for some bytes.
func hold(t *testing.T, b []byte, step int) {
	h, n, err := proxyproto.Parse(b)
	want, length, ok := read(b)
	if (err == nil && n > 0) != ok || ok && (h != want || n != length) {
		t.Fatalf("%x: %v, %d, %v; want %v, %d, %v", b, h, n, err, want, length, ok)
	}
	if n > proxyproto.MaxLen || err == nil && n == 0 && len(b) >= proxyproto.MaxLen {
		t.Fatalf("a header of %d bytes, of %d", n, len(b))
	}
	for i := 0; i < min(len(b), proxyproto.MaxLen+1); i += min(max(step, 1), 1<<20) {
		some, someN, someErr := proxyproto.Parse(b[:i])
		switch {
		case someN > 0:
			if someN != n || some != h {
				t.Fatalf("%d bytes: %v, %d; all: %v, %d", i, some, someN, h, n)
			}
		case someErr != nil:
			if !errors.Is(err, someErr) {
				t.Fatalf("%d bytes: %v; all: %v", i, someErr, err)
			}
		default:
			if m := proxyproto.Missing(b[:i]); m < 1 || ok && i+m > n {
				t.Fatalf("%d bytes of %d: %d are missing", i, n, m)
			}
		}
	}
	if ok {
		again, _, err := proxyproto.Parse(proxyproto.Append(nil, h))
		if again != h || err != nil {
			t.Fatalf("%v became %v, %v", h, again, err)
		}
	}
}
