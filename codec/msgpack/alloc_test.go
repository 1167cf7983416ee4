package msgpack_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

var event = []byte(`["chat message",{"from":"a1b2c3","text":"hello, world","at":1763880000123,"tags":["x","y"]},true,1.5]`)

// TestTranscodingAllocatesNothing holds FromJSON and ToJSON to the memory they
// are given.
func TestTranscodingAllocatesNothing(t *testing.T) {
	packed, err := msgpack.FromJSON(nil, msgpack.Notepack2, event, nil)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	for name, fn := range map[string]func(){
		"FromJSON": func() { buf, _ = msgpack.FromJSON(buf[:0], msgpack.Notepack2, event, nil) },
		"ToJSON":   func() { buf, _, _ = msgpack.ToJSON(buf[:0], packed, msgpack.Limits{}) },
	} {
		if n := testing.AllocsPerRun(100, fn); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkFromJSON(b *testing.B) {
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(event)))
	for b.Loop() {
		buf, _ = msgpack.FromJSON(buf[:0], msgpack.Notepack2, event, nil)
	}
}

func BenchmarkToJSON(b *testing.B) {
	packed, err := msgpack.FromJSON(nil, msgpack.Notepack2, event, nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	b.SetBytes(int64(len(packed)))
	for b.Loop() {
		buf, _, _ = msgpack.ToJSON(buf[:0], packed, msgpack.Limits{})
	}
}
