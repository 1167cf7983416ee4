package proxyproto_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

// signature is written out, as the specification has it.
const signature = "0D0A0D0A 000D0A51 5549540A"

// unhex reads bytes that are written in groups.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// line is a header of version 1, written as bytes.
func line(text string) string { return hex.EncodeToString([]byte(text)) }

// vectors are headers of the specification's section 2, byte by byte. An empty source is
// the connection's own.
var vectors = []struct {
	name, bytes, source string
	err                 error
}{
	{"TCP over IPv4", signature + "21 11 000C C0000201 CB007107 115C 01BB", "192.0.2.1:4444", nil},
	{"TCP over IPv6", signature + "21 21 0024 20010DB8000000000000000000000001 20010DB8000000000000000000000002 FFFF 0050", "[2001:db8::1]:65535", nil},
	{"IPv4 as IPv6", signature + "21 21 0024 00000000000000000000FFFFC0000201 00000000000000000000FFFFC0000202 0001 0050", "192.0.2.1:1", nil},
	{"TLVs", signature + "21 11 001A C0000201 CB007107 115C 01BB 04 0000 01 0002 6832 EA 0003 018D7D", "192.0.2.1:4444", nil},
	{"a TLV with no length", signature + "21 11 000E C0000201 CB007107 115C 01BB 0400", "", proxyproto.ErrTLV},
	{"a TLV beyond the end", signature + "21 11 0010 C0000201 CB007107 115C 01BB 040002FF", "", proxyproto.ErrTLV},
	{"a checksum", signature + "21 11 0013 C0000201 CB007107 115C 01BB 03 0004 EF7E8045", "192.0.2.1:4444", nil},
	{"a checksum of another header", signature + "21 11 0013 C0000202 CB007107 115C 01BB 03 0004 EF7E8045", "", proxyproto.ErrChecksum},
	{"a checksum that is too short", signature + "21 11 0012 C0000201 CB007107 115C 01BB 03 0003 000000", "", proxyproto.ErrChecksum},
	{"a checksum between others", signature + "21 11 001F C0000201 CB007107 115C 01BB 03 0004 98DB025C 20 0005 01 00000000 05 0001 78", "TLS 192.0.2.1:4444", nil},
	{"TLS", signature + "21 11 0014 C0000201 CB007107 115C 01BB 20 0005 01 00000000", "TLS 192.0.2.1:4444", nil},
	{"TLS with a TLV that is cut off", signature + "21 11 0026 C0000201 CB007107 115C 01BB 20 0017 07 00000000 21 0007 544C5376312E33 22 0006 6D65040000", "", proxyproto.ErrTLV},
	{"TLS and its version", signature + "21 11 001E C0000201 CB007107 115C 01BB 20 000F 07 00000000 21 0007 544C5376312E33", "TLS 192.0.2.1:4444", nil},
	{"no TLS", signature + "21 11 0014 C0000201 CB007107 115C 01BB 20 0005 00 00000000", "192.0.2.1:4444", nil},
	{"a certificate of a session, but no TLS", signature + "21 11 0014 C0000201 CB007107 115C 01BB 20 0005 04 00000000", "192.0.2.1:4444", nil},
	{"half of TLS", signature + "21 11 0013 C0000201 CB007107 115C 01BB 20 0004 01 000000", "", proxyproto.ErrTLV},
	{"LOCAL", signature + "20 00 0000", "", nil},
	{"LOCAL with addresses, which do not count", signature + "20 11 000C C0000201 CB007107 115C 01BB", "", nil},
	{"LOCAL with a checksum, which is not looked at", signature + "20 00 0007 03 0004 00000000", "", nil},
	{"LOCAL of a family that there is not, with too little", signature + "20 FF 0002 FFFF", "", nil},
	{"UNSPEC", signature + "21 00 0000", "", nil},
	{"UNSPEC with something", signature + "21 00 0003 010203", "", nil},
	{"UNIX", signature + "21 31 00D8" + strings.Repeat("2F", 216), "", nil},
	{"UDP", signature + "21 12 000C C0000201 CB007107 115C 01BB", "", nil},
	{"INET of no transport", signature + "21 10 000C C0000201 CB007107 115C 01BB", "", nil},
	{"too short for IPv4", signature + "21 11 000B C0000201 CB007107 115C 01", "", proxyproto.ErrShort},
	{"too short for IPv6", signature + "21 21 000C C0000201 CB007107 115C 01BB", "", proxyproto.ErrShort},
	{"the longest", signature + "21 11 1000 C0000201 CB007107 115C 01BB 04 0FF1" + strings.Repeat("00", 0xFF1), "192.0.2.1:4444", nil},
	{"longer", signature + "21 11 1001", "", proxyproto.ErrTooLong},
	{"LOCAL, longer", signature + "20 00 FFFF", "", proxyproto.ErrTooLong},
	{"version 3", signature + "31 11 000C", "", proxyproto.ErrVersion},
	{"version 0", signature + "01 11 000C", "", proxyproto.ErrVersion},
	{"a command that there is not", signature + "22 11 000C", "", proxyproto.ErrCommand},
	{"a family that there is not", signature + "21 41 000C", "", proxyproto.ErrFamily},
	{"a transport that there is not", signature + "21 13 000C", "", proxyproto.ErrFamily},
	{"a request", line("GET / HTTP/1.1\r\n"), "", proxyproto.ErrMissing},
	{"a request that begins alike", line("PROPFIND / HTTP/1.1\r\n"), "", proxyproto.ErrMissing},
	{"empty lines", line("\r\n\r\nGET / HTTP/1.1\r\n"), "", proxyproto.ErrMissing},
	{"TLS without a header", "16 0301 0200 01", "", proxyproto.ErrMissing},
	{"the last byte of the signature", "0D0A0D0A 000D0A51 5549540B", "", proxyproto.ErrMissing},

	{"line, TCP4", line("PROXY TCP4 192.0.2.1 203.0.113.7 4444 443\r\n"), "192.0.2.1:4444", nil},
	{"line, the longest of TCP4", line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535", nil},
	{"line, TCP6", line("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), "[2001:db8::1]:0", nil},
	{"line, the longest of TCP6", line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", nil},
	{"line, IPv4 as IPv6", line("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 80\r\n"), "192.0.2.1:1", nil},
	{"line, UNKNOWN", line("PROXY UNKNOWN\r\n"), "", nil},
	{"line, UNKNOWN with the longest of addresses", line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "", nil},
	{"line, UNKNOWN with anything", line("PROXY UNKNOWN  \x00\r!\r\n"), "", nil},
	{"line, of 107 bytes", line("PROXY UNKNOWN" + strings.Repeat(" ", 92) + "\r\n"), "", nil},
	{"line, of 108 bytes", line("PROXY UNKNOWN" + strings.Repeat(" ", 93) + "\r\n"), "", proxyproto.ErrTooLong},
	{"line, without an end", line("PROXY TCP4 " + strings.Repeat("1", 200)), "", proxyproto.ErrTooLong},
	{"line, an end of LF", line("PROXY TCP4 192.0.2.1 203.0.113.7 4444 443\n"), "", proxyproto.ErrLine},
	{"line, two spaces", line("PROXY TCP4  192.0.2.1 203.0.113.7 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, a space at the end", line("PROXY TCP4 192.0.2.1 203.0.113.7 4444 443 \r\n"), "", proxyproto.ErrLine},
	{"line, no second port", line("PROXY TCP4 192.0.2.1 203.0.113.7 4444\r\n"), "", proxyproto.ErrLine},
	{"line, a port too large", line("PROXY TCP4 192.0.2.1 203.0.113.7 65536 443\r\n"), "", proxyproto.ErrLine},
	{"line, a port with a zero in front", line("PROXY TCP4 192.0.2.1 203.0.113.7 4444 0443\r\n"), "", proxyproto.ErrLine},
	{"line, a port with a sign", line("PROXY TCP4 192.0.2.1 203.0.113.7 +4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, an address with zeros in front", line("PROXY TCP4 192.000.002.001 203.0.113.7 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, an address with a zone", line("PROXY TCP6 fe80::1%lo fe80::2 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, IPv6 as TCP4", line("PROXY TCP4 2001:db8::1 2001:db8::2 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, IPv4 as TCP6", line("PROXY TCP6 192.0.2.1 203.0.113.7 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, one of each", line("PROXY TCP4 192.0.2.1 2001:db8::2 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, a family that there is not", line("PROXY UDP4 192.0.2.1 203.0.113.7 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, small letters", line("PROXY tcp4 192.0.2.1 203.0.113.7 4444 443\r\n"), "", proxyproto.ErrLine},
	{"line, a request", line("PROXY / HTTP/1.1\r\n"), "", proxyproto.ErrLine},
}

// told is what a header of vectors tells.
func told(source string) (h proxyproto.Header) {
	source, h.TLS = strings.CutPrefix(source, "TLS ")
	if source != "" {
		h.Source = netip.MustParseAddrPort(source)
	}
	return h
}

func TestParse(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want, header := told(v.source), unhex(t, v.bytes)
			h, n, err := proxyproto.Parse(append(header[:len(header):len(header)], "GET /"...))
			if err != v.err || h != want || err == nil && n != len(header) || err != nil && n != 0 {
				t.Fatalf("%v, %d, %v; want %v, %d, %v", h, n, err, want, len(header), v.err)
			}
			// Of fewer bytes the same, or nothing yet.
			for i := range header {
				h, n, err := proxyproto.Parse(header[:i])
				if h != (proxyproto.Header{}) || n != 0 || err != nil && err != v.err {
					t.Fatalf("%d bytes: %v, %d, %v", i, h, n, err)
				}
				if err == nil && v.err == nil && (proxyproto.Missing(header[:i]) < 1 || i+proxyproto.Missing(header[:i]) > len(header)) {
					t.Fatalf("%d bytes of %d: %d are missing", i, len(header), proxyproto.Missing(header[:i]))
				}
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for _, text := range []string{"", "192.0.2.1:4444", "[2001:db8::1]:65535", "TLS 192.0.2.1:4444", "TLS [2001:db8::1]:65535"} {
		b := proxyproto.Append([]byte("before"), told(text))
		got, n, err := proxyproto.Parse(b[len("before"):])
		if got != told(text) || n != len(b)-len("before") || err != nil {
			t.Errorf("%q: %v, %d, %v", text, got, n, err)
		}
	}
}

func TestSigned(t *testing.T) {
	for _, sign := range []string{string(unhex(t, signature)), "PROXY "} {
		all := sign + "!"
		for i := range len(all) + 1 {
			if begins, whole := proxyproto.Signed([]byte(all[:i])); !begins || whole != (i >= len(sign)) {
				t.Errorf("%d bytes: %v, %v", i, begins, whole)
			}
		}
	}
	for _, other := range []string{"\r\nGET", "POST /", "PROXY\t", "PROPFIND / HTTP/1.1"} {
		if begins, _ := proxyproto.Signed([]byte(other)); begins {
			t.Errorf("%q passes for a header", other)
		}
	}
}
