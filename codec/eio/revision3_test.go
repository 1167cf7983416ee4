package eio_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/eio"
)

// vectors3 are payloads as Node's parser of revision 3 writes and reads them.
type vectors3 struct {
	Payloads []struct {
		Packets        []packet3
		Base64, Binary bool
		BodyHex        string
	}
	Decodes []struct {
		Body    string
		Packets []packet3
	}
}

type packet3 struct {
	Type, Text string
	BinaryHex  *string
}

func (p packet3) decoded(t testing.TB) eio.Packet {
	t.Helper()
	if p.BinaryHex == nil {
		return eio.Packet{Type: typeOf(t, p.Type), Data: []byte(p.Text)}
	}
	b, err := hex.DecodeString(*p.BinaryHex)
	if err != nil {
		t.Fatal(err)
	}
	return eio.Packet{Type: typeOf(t, p.Type), Binary: true, Data: b}
}

func equal(a, b eio.Packet) bool {
	return a.Type == b.Type && a.Binary == b.Binary && bytes.Equal(a.Data, b.Data)
}

// parse3 reads a copy of body, and copies the packets.
func parse3(body []byte) (packets []eio.Packet, err error) {
	err = eio.ParsePayloadV3(bytes.Clone(body), func(p eio.Packet) error {
		p.Data = bytes.Clone(p.Data)
		packets = append(packets, p)
		return nil
	})
	return packets, err
}

func TestPayloadVectorsV3(t *testing.T) {
	var v vectors3
	load(t, "revision3.json", &v)
	for _, x := range v.Payloads {
		t.Run(x.BodyHex, func(t *testing.T) {
			var packets []eio.Packet
			for _, p := range x.Packets {
				packets = append(packets, p.decoded(t))
			}
			body, binary := eio.AppendPayloadV3(nil, packets, x.Base64)
			if hex.EncodeToString(body) != x.BodyHex || binary != x.Binary {
				t.Errorf("encoded %x, binary %v; want %s, %v", body, binary, x.BodyHex, x.Binary)
			}
			got, err := parse3(body)
			if err != nil || len(got) != len(packets) {
				t.Fatalf("decoded %v, %v; want %v", got, err, packets)
			}
			for i := range got {
				if !equal(got[i], packets[i]) {
					t.Errorf("packet %d is %v, want %v", i, got[i], packets[i])
				}
			}
		})
	}
	for _, x := range v.Decodes {
		t.Run("decode "+x.Body, func(t *testing.T) {
			got, err := parse3([]byte(x.Body))
			for i, want := range x.Packets {
				if want.Type == "error" || want.Type == "undefined" {
					if err == nil || len(got) != i {
						t.Fatalf("decoded %v, %v; want an error after %d", got, err, i)
					}
					return
				}
				if i >= len(got) || !equal(got[i], want.decoded(t)) {
					t.Fatalf("decoded %v, %v; want %v at %d", got, err, want, i)
				}
			}
			if err != nil || len(got) != len(x.Packets) {
				t.Errorf("decoded %v, %v; want %v", got, err, x.Packets)
			}
		})
	}
}

func TestMalformedPayloadV3(t *testing.T) {
	huge := strings.Repeat("9", 400)
	tests := []struct {
		name, body string
		want       error
	}{
		{"empty", "", eio.ErrEmpty},
		{"no colon", "6", eio.ErrPayload},
		{"no length", ":4", eio.ErrPayload},
		{"longer than the body", "3:4", eio.ErrPayload},
		{"huge length", huge + ":4", eio.ErrPayload},
		{"sign", "-1:4", eio.ErrPayload},
		{"half a character", "2:4😀", eio.ErrPayload},
		{"binary, no end of length", "\x00\x01\x02", eio.ErrPayload},
		{"binary, no length", "\x00\xff4", eio.ErrPayload},
		{"binary, no digit", "\x00\x0a\xff4", eio.ErrPayload},
		{"binary, huge length", "\x01" + strings.Repeat("\x09", 400) + "\xff\x04", eio.ErrPayload},
		{"binary, longer than the body", "\x01\x02\xff\x04", eio.ErrPayload},
		{"binary, text of length 0", "\x01\x00\xff", eio.ErrEmpty},
		{"binary, kind 2", "\x01\x01\xff\x04\x02\x01\xff\x04", eio.ErrPayload},
		{"type", "1:7", eio.ErrType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse3([]byte(tt.body)); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestPayloadV3StopsAtTheCallersError(t *testing.T) {
	stop := errors.New("enough")
	n := 0
	err := eio.ParsePayloadV3([]byte("1:21:31:6"), func(eio.Packet) error {
		if n++; n == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 2 {
		t.Errorf("error %v after %d packets", err, n)
	}
}

func TestBinaryV3(t *testing.T) {
	data := []byte{1, 2, 3}
	want := eio.Packet{Type: eio.Message, Binary: true, Data: data}
	if got, err := eio.ParseBinaryV3(eio.AppendBinaryV3(nil, data)); err != nil || !equal(got, want) {
		t.Errorf("binary: %v, %v", got, err)
	}
	text := eio.AppendBase64V3(nil, data)
	if string(text) != "b4AQID" {
		t.Errorf("base64: %s", text)
	}
	if got, err := eio.ParseTextV3(text); err != nil || !equal(got, want) {
		t.Errorf("base64: %v, %v", got, err)
	}
}
