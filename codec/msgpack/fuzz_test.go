package msgpack_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/fe4bcecb/wsd/codec/msgpack"
	oracle "github.com/vmihailenco/msgpack/v5"
)

func seed(f *testing.F) {
	v := load(f)
	for _, d := range v.Decode {
		f.Add(unhex(f, d.Hex))
	}
	for _, e := range v.Encode {
		for _, s := range []string{e.Notepack2, e.Notepack3, e.MsgpackJS} {
			if s[0] != 'E' {
				f.Add(unhex(f, s))
			}
		}
	}
	f.Add(unhex(f, "92 c4020102 82a161d40000a16290"))
}

// FuzzDecode reads anything: the readers agree on what is valid, what was read
// is written and read again the same, and JSON that was made is JSON.
func FuzzDecode(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := msgpack.Decode(b, msgpack.Limits{})
		text, attachments, jsonErr := msgpack.ToJSON(nil, b, msgpack.Limits{MaxBinary: math.MaxInt32})
		if (err == nil) != (jsonErr == nil) && jsonErr != msgpack.ErrPlaceholder {
			t.Fatalf("Decode: %v, ToJSON: %v", err, jsonErr)
		}
		rest, skipErr := msgpack.Skip(b)
		if err == nil && (skipErr != nil || len(rest) > 0) {
			t.Fatalf("Skip: %d bytes left, %v", len(rest), skipErr)
		}
		if err != nil {
			return
		}
		again, err := msgpack.Append(nil, msgpack.Notepack2, v)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		w, err := msgpack.Decode(again, msgpack.Limits{})
		if err != nil || !same(v, w) {
			t.Fatalf("%#v became %#v, %v", v, w, err)
		}
		if jsonErr != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%s is not JSON", text)
		}
		packed, err := msgpack.FromJSON(nil, msgpack.Notepack2, text, attachments)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(attachments) > 0 || !bytes.Contains(text, []byte("_placeholder")) {
			back, more, err := msgpack.ToJSON(nil, packed, msgpack.Limits{MaxBinary: math.MaxInt32})
			if err != nil || len(more) != len(attachments) || !bytes.Equal(back, text) {
				t.Fatalf("%s became %s, %v", text, back, err)
			}
		}
	})
}

// same compares what Decode returned, where whole floats and integers, and the
// two kinds of binary data, are the same.
func same(a, b any) bool {
	switch x := a.(type) {
	case float64:
		switch y := b.(type) {
		case float64:
			return x == y || x != x && y != y
		case int64:
			return x == float64(y)
		case uint64:
			return x == float64(y)
		}
		return false
	case msgpack.Ext:
		y, ok := b.(msgpack.Ext)
		if data, binary := b.([]byte); binary {
			return x.Type == 0 && bytes.Equal(x.Data, data)
		}
		return ok && x.Type == y.Type && bytes.Equal(x.Data, y.Data)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if _, there := y[k]; !there || !same(x[k], y[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// FuzzFromJSON compares with encoding/json and another library for MessagePack.
func FuzzFromJSON(f *testing.F) {
	for _, s := range []string{`["a",1,{"b":[null,true,-1.5e3]}]`, `"\ud83d\ude00\ud800"`, ` [ 1 , 2 ] `, `{"_placeholder":true,"num":0}`, `[1,]`, "\"\x80\"", `[18446744073709551615,1e999]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := msgpack.FromJSON(nil, msgpack.Notepack3, b, nil)
		if err == msgpack.ErrDepth {
			return
		}
		if (err == nil) != json.Valid(b) {
			t.Fatalf("%q: %v", b, err)
		}
		// With attachments the same bytes are valid, but for placeholders.
		if _, marked := msgpack.FromJSON(nil, msgpack.Notepack3, b, [][]byte{{1}}); marked != nil && marked != msgpack.ErrPlaceholder && err == nil {
			t.Fatalf("%q: %v", b, marked)
		}
		if err != nil {
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Skip("a number that encoding/json has no room for")
		}
		var v any
		if err := oracle.Unmarshal(got, &v); err != nil {
			t.Fatalf("%q: %x: %v", b, got, err)
		}
		if !equal(v, want) {
			t.Fatalf("%q: got %#v, want %#v", b, v, want)
		}
	})
}

// equal compares what the other library reads with what encoding/json does.
func equal(got, want any) bool {
	switch w := want.(type) {
	case json.Number:
		f, _ := w.Float64()
		v := reflect.ValueOf(got)
		switch {
		case v.CanInt():
			return float64(v.Int()) == f
		case v.CanUint():
			return float64(v.Uint()) == f
		case v.CanFloat():
			return v.Float() == f
		}
		return false
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !equal(g[i], w[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if !equal(g[k], w[k]) {
				return false
			}
		}
		return true
	}
	return got == want
}

// FuzzOracle reads with the other library what was written, value by value.
func FuzzOracle(f *testing.F) {
	f.Add(int64(-129), uint64(1<<63), 1.5, "text", []byte{1})
	f.Fuzz(func(t *testing.T, i int64, u uint64, x float64, s string, data []byte) {
		for _, d := range dialects {
			b, err := msgpack.Append(nil, d.dialect, []any{i, u, x, s, data, map[string]any{s: i}, nil, true})
			if err != nil {
				t.Fatal(err)
			}
			var got []any
			if err := oracle.Unmarshal(b, &got); err != nil || len(got) != 8 {
				t.Fatalf("%x: %v", b, err)
			}
			want, err := msgpack.Decode(b, msgpack.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for k, v := range want.([]any) {
				if !alike(got[k], v) {
					t.Fatalf("%s: %x: value %d is %#v, want %#v", d.name, b, k, got[k], v)
				}
			}
		}
	})
}

func alike(got, want any) bool {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	switch {
	case !g.IsValid() || !w.IsValid():
		return g.IsValid() == w.IsValid()
	case g.CanInt() && w.CanInt():
		return g.Int() == w.Int()
	case g.CanUint() && w.CanInt():
		return w.Int() >= 0 && g.Uint() == uint64(w.Int())
	case g.CanUint() && w.CanUint():
		return g.Uint() == w.Uint()
	case g.CanFloat() && w.CanFloat():
		return g.Float() == w.Float() || g.Float() != g.Float() && w.Float() != w.Float()
	}
	if m, ok := want.(map[string]any); ok {
		n, ok := got.(map[string]any)
		if !ok || len(n) != len(m) {
			return false
		}
		for k := range m {
			if !alike(n[k], m[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, want)
}
