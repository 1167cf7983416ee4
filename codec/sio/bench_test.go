package sio_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
)

func BenchmarkText(b *testing.B) {
	tests := []struct{ name, text string }{
		{"20 bytes", `2["m","twenty bytes of text"]`},
		{"ack in a namespace", `2/admin,17["m","twenty bytes of text"]`},
		{"object", `2["update",{"id":12345,"name":"some name","tags":["a","b"],"pos":{"x":1.5,"y":-2.25},"ok":true}]`},
		{"64 KiB string", `2["m","` + strings.Repeat("x", 64<<10) + `"]`},
		{"64 KiB of numbers", `2["m",[` + strings.Repeat("12345,", 11000) + `0]]`},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			var d sio.Decoder
			text := []byte(tt.text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := d.Text(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEcho decodes an event and encodes its arguments again.
func BenchmarkEcho(b *testing.B) {
	var d sio.Decoder
	text := []byte(`2["m","twenty bytes of text"]`)
	list := make([]sio.Value, 0, 4)
	dst := make([]byte, 0, 256)
	args := make([]any, 2)
	b.ReportAllocs()
	for b.Loop() {
		p, _, err := d.Text(text)
		if err != nil {
			b.Fatal(err)
		}
		list = p.Args(list[:0])
		args[0], args[1] = "m", &list[1]
		if _, _, err := sio.AppendPacket(dst, sio.Header{Type: sio.Event, Namespace: p.Namespace}, args); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkArgs(b *testing.B) {
	p := sio.Packet{Type: sio.Event, Data: []byte(`["m","twenty bytes of text"]`)}
	list := make([]sio.Value, 0, 4)
	b.ReportAllocs()
	for b.Loop() {
		list = p.Args(list[:0])
	}
}

func BenchmarkAppendPacket(b *testing.B) {
	type update struct {
		ID   int    `json:"id"`
		Name string `json:"name"`
	}
	type upload struct {
		Name string
		Body sio.Binary
	}
	tests := []struct {
		name string
		args []any
	}{
		{"string", []any{"m", "twenty bytes of text"}},
		{"Value", []any{"m", sio.RawValue([]byte(`"twenty bytes of text"`))}},
		{"map", []any{"m", map[string]any{"id": 12345, "name": "some name", "ok": true}}},
		{"struct", []any{"m", update{12345, "some name"}}},
		{"raw message", []any{"m", json.RawMessage(`{"id":12345,"name":"some name"}`)}},
		{"binary", []any{"m", []byte("data")}},
		{"struct with binary", []any{"m", upload{"some name", sio.Binary("data")}}},
	}
	for _, tt := range tests {
		b.Run(tt.name, func(b *testing.B) {
			dst := make([]byte, 0, 256)
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := sio.AppendPacket(dst, sio.Header{Type: sio.Event}, tt.args); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
