package sio_test

import (
	"encoding/json"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
)

func TestNoAllocations(t *testing.T) {
	var d sio.Decoder
	list := make([]sio.Value, 0, 8)
	dst := make([]byte, 0, 1024)
	name := make([]byte, 0, 64)
	event := []byte(`2["m","twenty bytes of text"]`)
	inNamespace := []byte(`2/admin,17["m",{"a":[1,2.5,"\u00e9"],"b":null}]`)
	p, _, err := d.Text(event)
	if err != nil {
		t.Fatal(err)
	}
	var passed []any
	for _, v := range p.Args(nil) {
		passed = append(passed, v)
	}
	mixed := []any{"m", 1, int64(2), 1.5, true, nil, json.RawMessage(`{"a":1}`), []any{"x", 1}}
	payload, err := sio.EncodePayload(mixed)
	if err != nil {
		t.Fatal(err)
	}
	h := sio.Header{Type: sio.Event, Namespace: "/admin", ID: 1 << 40, HasID: true}
	encode := func(args []any) {
		text, attachments, err := sio.AppendPacket(dst, h, args)
		if err != nil || attachments != nil || &text[0] != &dst[:1][0] {
			t.Fatal("not written to dst")
		}
	}
	decode := func(text []byte) {
		p, ok, err := d.Text(text)
		if err != nil || !ok {
			t.Fatal(err)
		}
		list = p.Args(list[:0])
		if text, ok := list[0].AppendText(name); !ok || string(text) != "m" {
			t.Fatal("no name")
		}
	}
	tests := []struct {
		name string
		run  func()
	}{
		{"decode", func() { decode(event) }},
		{"decode in a namespace", func() { decode(inNamespace) }},
		{"pass on", func() { encode(passed) }},
		{"encode", func() { encode(mixed) }},
		{"payload", func() {
			if _, err := sio.AppendPayload(dst, h, payload); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		if n := testing.AllocsPerRun(100, tt.run); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// TestFewAllocations: a binary event costs its parts and little more.
func TestFewAllocations(t *testing.T) {
	var d sio.Decoder
	header := []byte(`51-["m",{"_placeholder":true,"num":0}]`)
	data := []byte("data")
	list := make([]sio.Value, 0, 8)
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := d.Text(header); err != nil {
			t.Fatal(err)
		}
		p, ok, err := d.Binary(data)
		if err != nil || !ok {
			t.Fatal(err)
		}
		list = p.Args(list[:0])
		if _, ok := list[1].Bytes(); !ok {
			t.Fatal("no bytes")
		}
	}); n > 7 {
		t.Errorf("binary event: %v allocations", n)
	}
	dst := make([]byte, 0, 1024)
	args := []any{"m", data}
	if n := testing.AllocsPerRun(100, func() {
		if _, _, err := sio.AppendPacket(dst, sio.Header{Type: sio.Event}, args); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("encoding a binary event: %v allocations", n)
	}
}
