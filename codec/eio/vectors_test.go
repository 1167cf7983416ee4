package eio_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/codec/eio"
)

// vectors are packets and payloads as Node's parser writes and reads them.
type vectors struct {
	Packets []struct {
		Packet         packet
		WebsocketFrame struct {
			Text      *string
			BinaryHex *string
		}
		PollingOrB64 struct{ Text string }
	}
	Payloads []struct {
		Packets []packet
		Text    string
	}
	Decodes []struct {
		Payload        string
		DecodedPackets []packet
	}
}

type packet struct {
	Type string
	Data data
}

// data is text, or binary data written as {"$bin":"<hex>"}.
type data struct {
	bytes  []byte
	binary bool
}

func (d *data) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		var s string
		err := json.Unmarshal(b, &s)
		d.bytes = []byte(s)
		return err
	}
	var bin struct {
		Bin string `json:"$bin"`
	}
	if err := json.Unmarshal(b, &bin); err != nil {
		return err
	}
	var err error
	d.bytes, err = hex.DecodeString(bin.Bin)
	d.binary = true
	return err
}

func load(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func typeOf(t testing.TB, name string) eio.Type {
	t.Helper()
	for typ := eio.Open; typ <= eio.Noop; typ++ {
		if typ.String() == name {
			return typ
		}
	}
	t.Fatalf("no type %q", name)
	return 0
}

func appendText(t testing.TB, dst []byte, p packet) []byte {
	if p.Data.binary {
		return eio.AppendBinary(dst, p.Data.bytes)
	}
	return eio.AppendPacket(dst, typeOf(t, p.Type), p.Data.bytes)
}

func same(t testing.TB, got eio.Packet, want packet) {
	t.Helper()
	if got.Type.String() != want.Type || got.Binary != want.Data.binary || !bytes.Equal(got.Data, want.Data.bytes) {
		t.Errorf("got %v, binary %v, %q; want %s, %v, %q",
			got.Type, got.Binary, got.Data, want.Type, want.Data.binary, want.Data.bytes)
	}
}

func TestPacketVectors(t *testing.T) {
	var v vectors
	load(t, "codec.json", &v)
	for _, x := range v.Packets {
		t.Run(x.PollingOrB64.Text, func(t *testing.T) {
			text := appendText(t, nil, x.Packet)
			if string(text) != x.PollingOrB64.Text {
				t.Errorf("encoded %q, want %q", text, x.PollingOrB64.Text)
			}
			if x.Packet.Data.binary && len(text) != eio.BinaryLen(len(x.Packet.Data.bytes)) {
				t.Errorf("BinaryLen is %d, not %d", eio.BinaryLen(len(x.Packet.Data.bytes)), len(text))
			}
			if f := x.WebsocketFrame.Text; f != nil && string(text) != *f {
				t.Errorf("encoded %q, want %q", text, *f)
			}
			got, err := eio.ParseText(text)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, x.Packet)
		})
	}
}

func TestPayloadVectors(t *testing.T) {
	var v vectors
	load(t, "codec.json", &v)
	for _, x := range v.Payloads {
		t.Run(x.Text, func(t *testing.T) {
			var body []byte
			for i, p := range x.Packets {
				if i > 0 {
					body = append(body, eio.Separator)
				}
				body = appendText(t, body, p)
			}
			if string(body) != x.Text {
				t.Errorf("encoded %q, want %q", body, x.Text)
			}
			decode(t, x.Text, x.Packets)
		})
	}
	for _, x := range v.Decodes {
		t.Run("decode "+x.Payload, func(t *testing.T) { decode(t, x.Payload, x.DecodedPackets) })
	}
}

// decode reads a payload up to its first error, which want has as a packet.
func decode(t *testing.T, payload string, want []packet) {
	t.Helper()
	rest, more := []byte(payload), true
	for i := 0; more; i++ {
		var b []byte
		b, rest, more = eio.NextPacket(rest)
		got, err := eio.ParseText(b)
		if i >= len(want) {
			t.Fatalf("packet %d: %v, %v; want the end", i, got, err)
		}
		if (err != nil) != (want[i].Type == "error") {
			t.Fatalf("packet %d: error %v, want %q", i, err, want[i].Type)
		}
		if err != nil {
			return
		}
		same(t, got, want[i])
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		name  string
		parse func() error
		want  error
	}{
		{"empty", func() error { _, err := eio.ParseText(nil); return err }, eio.ErrEmpty},
		{"type above noop", func() error { _, err := eio.ParseText([]byte("7")); return err }, eio.ErrType},
		{"type below open", func() error { _, err := eio.ParseText([]byte("/")); return err }, eio.ErrType},
		{"revision 3, empty", func() error { _, err := eio.ParseTextV3(nil); return err }, eio.ErrEmpty},
		{"revision 3, base64 without type", func() error { _, err := eio.ParseTextV3([]byte("b")); return err }, eio.ErrType},
		{"revision 3, base64 of a ping", func() error { _, err := eio.ParseTextV3([]byte("b2")); return err }, eio.ErrType},
		{"revision 3, empty binary", func() error { _, err := eio.ParseBinaryV3(nil); return err }, eio.ErrEmpty},
		{"revision 3, binary ping", func() error { _, err := eio.ParseBinaryV3([]byte{2}); return err }, eio.ErrType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.parse(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	if s := eio.Type(7).String(); s != "unknown" {
		t.Errorf("type 7 is %q", s)
	}
}

func TestHandshake(t *testing.T) {
	tests := []struct {
		name string
		h    eio.Handshake
		want string
	}{
		{
			"polling",
			eio.Handshake{SID: "lv_VI97HAXpY6yYWAAAC", Upgrades: []string{"websocket"}, PingInterval: 25000, PingTimeout: 20000, MaxPayload: 1000000},
			`0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`,
		},
		{"websocket", eio.Handshake{SID: "a"}, `0{"sid":"a","upgrades":[],"pingInterval":0,"pingTimeout":0,"maxPayload":0}`},
		{
			"two upgrades", eio.Handshake{SID: "a", Upgrades: []string{"websocket", "webtransport"}},
			`0{"sid":"a","upgrades":["websocket","webtransport"],"pingInterval":0,"pingTimeout":0,"maxPayload":0}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := eio.AppendHandshake([]byte("x"), &tt.h); string(got) != "x"+tt.want {
				t.Errorf("got %s, want x%s", got, tt.want)
			}
		})
	}
}

func TestNoAllocations(t *testing.T) {
	dst := make([]byte, 0, 256)
	payload := []byte("4hello\x1e2probe\x1ebAQIDBA==")
	h := &eio.Handshake{SID: "lv_VI97HAXpY6yYWAAAC", Upgrades: []string{"websocket"}}
	tests := []struct {
		name string
		run  func()
	}{
		{"payload", func() {
			for rest, more := payload, true; more; {
				var b []byte
				b, rest, more = eio.NextPacket(rest)
				if _, err := eio.ParseText(b); err != nil {
					t.Fatal(err)
				}
			}
			copy(payload[15:], "bAQIDBA==") // it was decoded in place
		}},
		{"packet", func() { dst = eio.AppendPacket(dst[:0], eio.Message, payload) }},
		{"base64", func() { dst = eio.AppendBinary(dst[:0], payload) }},
		{"handshake", func() { dst = eio.AppendHandshake(dst[:0], h) }},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.run); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
