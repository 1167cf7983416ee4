package eio_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/eio"
)

// slowBase64 reads base64 as Node does, step by step.
func slowBase64(s []byte) []byte {
	var kept []byte
	for _, c := range s {
		switch {
		case c == '-':
			kept = append(kept, '+')
		case c == '_':
			kept = append(kept, '/')
		case c == '+' || c == '/' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			kept = append(kept, c)
		}
	}
	if len(kept)%4 == 1 {
		kept = kept[:len(kept)-1] // six bits are no byte
	}
	b, err := base64.RawStdEncoding.DecodeString(string(kept))
	if err != nil {
		panic(err)
	}
	return b
}

func FuzzPayload(f *testing.F) {
	var v vectors
	load(f, "codec.json", &v)
	for _, x := range v.Decodes {
		f.Add([]byte(x.Payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		want := bytes.Split(payload, []byte{eio.Separator})
		rest, more := bytes.Clone(payload), true
		for i, w := range want {
			if !more {
				t.Fatalf("%d packets, want %d", i, len(want))
			}
			var b []byte
			b, rest, more = eio.NextPacket(rest)
			if !bytes.Equal(b, w) {
				t.Fatalf("packet %d is %q, want %q", i, b, w)
			}
			p, err := eio.ParseText(b)
			switch {
			case len(w) > 0 && w[0] == 'b':
				if err != nil || p.Type != eio.Message || !p.Binary || !bytes.Equal(p.Data, slowBase64(w[1:])) {
					t.Fatalf("%q is %v, %v", w, p, err)
				}
				again := eio.AppendBinary(nil, p.Data)
				if q, err := eio.ParseText(again); err != nil || !equal(p, q) {
					t.Fatalf("%v again is %v, %v", p, q, err)
				}
			case len(w) > 0 && strings.IndexByte("0123456", w[0]) >= 0:
				if err != nil || p.Binary || !bytes.Equal(eio.AppendPacket(nil, p.Type, p.Data), w) {
					t.Fatalf("%q is %v, %v", w, p, err)
				}
			default:
				if err == nil {
					t.Fatalf("%q is %v", w, p)
				}
			}
		}
		if more {
			t.Fatal("more packets than separators")
		}
	})
}

func FuzzPayloadV3(f *testing.F) {
	var v vectors3
	load(f, "revision3.json", &v)
	for _, x := range v.Decodes {
		f.Add([]byte(x.Body))
	}
	f.Add([]byte("\x01\x05\xff\x04\x01\x02\x03\x04\x00\x02\xff4a"))
	f.Fuzz(func(t *testing.T, body []byte) {
		packets, err := parse3(body)
		if err != nil {
			return
		}
		if body[0] > 1 && utf8.Valid(body) && !slowTextV3(string(body)) {
			t.Fatalf("%q was accepted", body)
		}
		for _, p := range packets {
			if !p.Binary && !utf8.Valid(p.Data) {
				return // has no length in UTF-16
			}
		}
		for _, base64 := range []bool{false, true} {
			again, _ := eio.AppendPayloadV3(nil, packets, base64)
			got, err := parse3(again)
			if err != nil || len(got) != len(packets) {
				t.Fatalf("%v again is %v, %v", packets, got, err)
			}
			for i := range got {
				if !equal(got[i], packets[i]) {
					t.Fatalf("%v again is %v", packets, got)
				}
			}
		}
	})
}

// slowTextV3 says whether the lengths in a text payload fit, counted in
// UTF-16 as JavaScript does.
func slowTextV3(body string) bool {
	units := utf16.Encode([]rune(body))
	for len(units) > 0 {
		n := 0
		for ; len(units) > 0 && units[0] != ':'; units = units[1:] {
			n = n*10 + int(units[0]-'0')
		}
		if len(units) < 1+n {
			return false
		}
		units = units[1+n:]
	}
	return true
}
