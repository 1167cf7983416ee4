package msgpack_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

func TestHostileInput(t *testing.T) {
	deep := func(n int, open string) []byte {
		return append(bytes.Repeat(unhexed(open), n), 0xc0)
	}
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"nothing", nil, msgpack.ErrShort},
		{"no format", unhexed("c1"), msgpack.ErrFormat},
		{"a number cut off", unhexed("cf0000"), msgpack.ErrShort},
		{"a length cut off", unhexed("db0000"), msgpack.ErrShort},
		{"a string cut off", unhexed("a3 6161"), msgpack.ErrShort},
		{"a string of 4 GiB", unhexed("dbffffffff 61"), msgpack.ErrShort},
		{"binary data of 4 GiB", unhexed("c6ffffffff 61"), msgpack.ErrShort},
		{"an extension of 4 GiB", unhexed("c9ffffffff 00 61"), msgpack.ErrShort},
		{"an extension without type", unhexed("d4"), msgpack.ErrShort},
		{"an extension cut off", unhexed("d8 01 00"), msgpack.ErrShort},
		{"an array of 4 Gi", unhexed("ddffffffff c0"), msgpack.ErrShort},
		{"a map of 4 Gi", unhexed("dfffffffff c0"), msgpack.ErrShort},
		{"a map of half", unhexed("82 a161 c0 a162"), msgpack.ErrShort},
		{"nested arrays that share what is left", append(bytes.Repeat(unhexed("dc00ff"), 300), make([]byte, 300)...), msgpack.ErrShort},
		{"too deep an array", deep(513, "91"), msgpack.ErrDepth},
		{"too deep a map", deep(513, "81 a161"), msgpack.ErrDepth},
		{"far too deep", deep(1<<20, "91"), msgpack.ErrDepth},
		{"a key that is nil", unhexed("81 c0 01"), msgpack.ErrKey},
		{"a key that is an array", unhexed("81 90 01"), msgpack.ErrKey},
		{"a key that is not a number", unhexed("81 cb7ff8000000000000 01"), msgpack.ErrKey},
		{"a key that is binary", unhexed("81 c400 d40000"), msgpack.ErrKey},
		{"more than a value", unhexed("c0c0"), msgpack.ErrTrailing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := msgpack.Decode(tt.in, msgpack.Limits{}); !errors.Is(err, tt.want) {
				t.Errorf("Decode: %v, want %v", err, tt.want)
			}
			got, attachments, err := msgpack.ToJSON([]byte("x"), tt.in, msgpack.Limits{})
			if !errors.Is(err, tt.want) || string(got) != "x" || attachments != nil {
				t.Errorf("ToJSON: %q, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func unhexed(s string) []byte {
	const digits = "0123456789abcdef"
	s = strings.ReplaceAll(s, " ", "")
	b := make([]byte, len(s)/2)
	for i := range b {
		b[i] = byte(strings.IndexByte(digits, s[2*i])<<4 | strings.IndexByte(digits, s[2*i+1]))
	}
	return b
}

func TestLimits(t *testing.T) {
	three := unhexed("93 c400 c400 c400")
	if _, _, err := msgpack.ToJSON(nil, three, msgpack.Limits{MaxBinary: 3}); err != nil {
		t.Error(err)
	}
	if _, _, err := msgpack.ToJSON(nil, three, msgpack.Limits{MaxBinary: 2}); err != msgpack.ErrBinary {
		t.Errorf("too many binary values: %v", err)
	}
	nested := unhexed("9191 01")
	if _, err := msgpack.Decode(nested, msgpack.Limits{MaxDepth: 2}); err != nil {
		t.Error(err)
	}
	if _, err := msgpack.Decode(nested, msgpack.Limits{MaxDepth: 1}); err != msgpack.ErrDepth {
		t.Errorf("too deep: %v", err)
	}
	beside := unhexed("92 c400 81 ac5f706c616365686f6c646572 c3")
	if _, _, err := msgpack.ToJSON(nil, beside, msgpack.Limits{}); err != msgpack.ErrPlaceholder {
		t.Errorf("a map like a placeholder: %v", err)
	}
}

// TestSkip passes over what the decoders refuse for its depth.
func TestSkip(t *testing.T) {
	in := append(bytes.Repeat(unhexed("91"), 100_000), unhexed("82 a161 c40102 ff 90 05")...)
	rest, err := msgpack.Skip(in)
	if err != nil || !bytes.Equal(rest, []byte{5}) {
		t.Errorf("got %x, %v", rest, err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = msgpack.Skip(in) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTokenInt(t *testing.T) {
	tests := []struct {
		hex  string
		want int64
		ok   bool
	}{
		{"05", 5, true},
		{"ff", -1, true},
		{"cb4000000000000000", 2, true},
		{"ca40000000", 2, true},
		{"cb8000000000000000", 0, true},
		{"cb3ff8000000000000", 0, false},
		{"cb7ff8000000000000", 0, false},
		{"cb7ff0000000000000", 0, false},
		{"cb43e0000000000000", 0, false}, // 2^63
		{"cf7fffffffffffffff", math.MaxInt64, true},
		{"cf8000000000000000", 0, false},
		{"a135", 0, false},
		{"c0", 0, false},
		{"c3", 0, false},
	}
	for _, tt := range tests {
		token, _, err := msgpack.Next(unhexed(tt.hex))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := token.Int(); ok != tt.ok || ok && got != tt.want {
			t.Errorf("%s: got %d, %v; want %d, %v", tt.hex, got, ok, tt.want, tt.ok)
		}
	}
}

// TestMemory holds what the densest inputs make of 128 KiB.
func TestMemory(t *testing.T) {
	const size = 1 << 17
	array := append(unhexed("dd0001fff0"), make([]byte, size-16)...)
	inputs := map[string][]byte{
		"an array of zeros":              array,
		"arrays that promise":            append(bytes.Repeat(unhexed("dd00001000"), 500), make([]byte, size)...),
		"a string of control characters": append(unhexed("db0001fff0"), make([]byte, 0x1fff0)...),
		"a map of equal keys":            append(append(unhexed("df00010000"), make([]byte, size)...), 0),
	}
	for name, in := range inputs {
		// What append throws away while it grows counts several times.
		for limit, read := range map[float64]func(){
			100: func() { _, _ = msgpack.Decode(in, msgpack.Limits{}) },
			40:  func() { _, _, _ = msgpack.ToJSON(nil, in, msgpack.Limits{}) },
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			read()
			runtime.ReadMemStats(&after)
			if got := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(in)); got > limit {
				t.Errorf("%s: %.1f bytes per byte, want %v at most", name, got, limit)
			}
		}
	}
}

func TestAppendErrors(t *testing.T) {
	var deep any
	for range 1025 {
		deep = []any{deep}
	}
	for name, tt := range map[string]struct {
		v    any
		want error
	}{
		"a struct":           {struct{}{}, msgpack.ErrValue},
		"one inside":         {[]any{map[string]any{"a": struct{}{}}}, msgpack.ErrValue},
		"a channel in a Map": {msgpack.Map{{Key: "a", Value: make(chan int)}}, msgpack.ErrValue},
		"too deep":           {deep, msgpack.ErrDepth},
	} {
		got, err := msgpack.Append([]byte("x"), msgpack.Notepack3, tt.v)
		if !errors.Is(err, tt.want) || string(got) != "x" {
			t.Errorf("%s: got %q, %v; want %v", name, got, err, tt.want)
		}
	}
}

func TestAppendGoValues(t *testing.T) {
	tests := []struct {
		name string
		v    any
		want string
	}{
		{"nil lists and maps are empty", []any{[]any(nil), []string(nil), map[string]any(nil), []byte(nil), msgpack.Map(nil)}, "95 90 90 80 c400 80"},
		{"all sizes", []any{int8(-1), int16(-129), int32(1), uint(2), uint8(3), uint16(256), uint32(65536), float32(0.5)}, "98 ff d1ff7f 01 02 03 cd0100 ce00010000 cb3fe0000000000000"},
		{"sorted keys", map[string]any{"b": 1, "a": map[string]string{"d": "x", "c": "y"}}, "82 a161 82 a163a179 a164a178 a162 01"},
		{"no UTF-8", []string{"a\xff"}, "91 a461efbfbd"},
		{"raw", msgpack.Map{{Key: "r", Value: msgpack.Raw{0x91, 0x05}}}, "81 a172 9105"},
		{"extensions", []any{msgpack.Ext{Type: 5, Data: []byte{1, 2, 3, 4}}, msgpack.Ext{Type: 5, Data: []byte{1, 2, 3}}, msgpack.Ext{Type: 5, Data: make([]byte, 16)}, msgpack.Ext{Data: []byte{1}}}, "94 d60501020304 c70305010203 d805" + strings.Repeat("00", 16) + " c7010001"},
		{"lengths of 16 bits", make([]byte, 256), "c50100" + strings.Repeat("00", 256)},
		{"lengths of 32 bits", strings.Repeat("a", 65536), "db00010000" + strings.Repeat("61", 65536)},
		{"a long extension", msgpack.Ext{Type: 7, Data: make([]byte, 256)}, "c8010007" + strings.Repeat("00", 256)},
		{"seconds of 34 bits", msgpack.Time(1 << 32 * 1000), "d7ff0000000100000000"},
		{"seconds of 35 bits", msgpack.Time(1 << 34 * 1000), "c70cff000000000000000400000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := msgpack.Append(nil, msgpack.Notepack3, tt.v)
			if err != nil || !bytes.Equal(got, unhex(t, tt.want)) {
				t.Errorf("got %x, %v; want %s", got, err, tt.want)
			}
		})
	}
}
