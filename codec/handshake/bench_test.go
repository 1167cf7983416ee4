package handshake_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

func BenchmarkHeadLen(b *testing.B) {
	for b.Loop() {
		if handshake.HeadLen(browser, 0) == 0 {
			b.Fatal("no end")
		}
	}
}

func BenchmarkHandshake(b *testing.B) {
	for _, bb := range []struct {
		name string
		head []byte
	}{{"rfc", []byte(rfc)}, {"browser", browser}} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			var r handshake.Request
			out := make([]byte, 0, 1024)
			for b.Loop() {
				if err := r.Parse(bb.head); err != nil {
					b.Fatal(err)
				}
				if err := r.Check(); err != nil {
					b.Fatal(err)
				}
				protocol, _ := handshake.NextItem(r.Protocols)
				var err error
				if out, err = handshake.AppendResponse(out[:0], r.Key, protocol, r.Extensions, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAcceptKey(b *testing.B) {
	b.ReportAllocs()
	key, out := []byte(rfcKey), make([]byte, 0, 32)
	for b.Loop() {
		out = handshake.AcceptKey(out[:0], key)
	}
}
