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

// vectors are headers of the specification's section 2.2, byte by byte. An empty
// source is the connection's own.
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
	{"LOCAL", signature + "20 00 0000", "", nil},
	{"LOCAL with addresses, which do not count", signature + "20 11 000C C0000201 CB007107 115C 01BB", "", nil},
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
	{"version 1", hex.EncodeToString([]byte("PROXY TCP4 192.0.2.1 203.0.113.7 4444 443\r\n")), "", proxyproto.ErrVersion1},
	{"version 3", signature + "31 11 000C", "", proxyproto.ErrVersion},
	{"version 0", signature + "01 11 000C", "", proxyproto.ErrVersion},
	{"a command that there is not", signature + "22 11 000C", "", proxyproto.ErrCommand},
	{"a family that there is not", signature + "21 41 000C", "", proxyproto.ErrFamily},
	{"a transport that there is not", signature + "21 13 000C", "", proxyproto.ErrFamily},
	{"a request", hex.EncodeToString([]byte("GET / HTTP/1.1\r\n")), "", proxyproto.ErrMissing},
	{"a request that begins alike", hex.EncodeToString([]byte("PROPFIND / HTTP/1.1\r\n")), "", proxyproto.ErrMissing},
	{"empty lines", hex.EncodeToString([]byte("\r\n\r\nGET / HTTP/1.1\r\n")), "", proxyproto.ErrMissing},
	{"TLS", "16 0301 0200 01", "", proxyproto.ErrMissing},
	{"the last byte of the signature", "0D0A0D0A 000D0A51 5549540B", "", proxyproto.ErrMissing},
}

func TestParse(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			want := netip.AddrPort{}
			if v.source != "" {
				want = netip.MustParseAddrPort(v.source)
			}
			header := unhex(t, v.bytes)
			source, n, err := proxyproto.Parse(append(header[:len(header):len(header)], "GET /"...))
			if err != v.err || source != want || err == nil && n != len(header) || err != nil && n != 0 {
				t.Fatalf("%v, %d, %v; want %v, %d, %v", source, n, err, want, len(header), v.err)
			}
			// Of fewer bytes the same, or nothing yet.
			for i := range header {
				source, n, err := proxyproto.Parse(header[:i])
				if source.IsValid() || n != 0 || err != nil && err != v.err {
					t.Fatalf("%d bytes: %v, %d, %v", i, source, n, err)
				}
			}
		})
	}
}

func TestAppend(t *testing.T) {
	for _, text := range []string{"", "192.0.2.1:4444", "[2001:db8::1]:65535"} {
		source := netip.AddrPort{}
		if text != "" {
			source = netip.MustParseAddrPort(text)
		}
		b := proxyproto.Append([]byte("before"), source)
		got, n, err := proxyproto.Parse(b[len("before"):])
		if got != source || n != len(b)-len("before") || err != nil {
			t.Errorf("%q: %v, %d, %v", text, got, n, err)
		}
	}
}

func TestSigned(t *testing.T) {
	all := unhex(t, signature+"21")
	for i := range len(all) + 1 {
		if begins, whole := proxyproto.Signed(all[:i]); !begins || whole != (i >= 12) {
			t.Errorf("%d bytes: %v, %v", i, begins, whole)
		}
	}
	if begins, _ := proxyproto.Signed([]byte("\r\nGET")); begins {
		t.Error("an empty line passes for a header")
	}
}
