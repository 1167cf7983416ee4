package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// vectors are what the libraries of Node write and read.
type vectors struct {
	Encode []struct {
		Label                           string
		Value                           json.RawMessage
		Notepack2, Notepack3, MsgpackJS string // hex, or "ERROR ..."
	}
	Decode []struct {
		Label     string
		Hex       string
		Notepack3 struct {
			Value json.RawMessage
			Error string
		}
	}
}

func load(t testing.TB) (v vectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/dialects.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// function stands for one of JavaScript, which no Go value is.
type function struct{}

// plain turns the notation of the vectors into values of the package. Maps keep
// their order.
func plain(t testing.TB, raw json.RawMessage) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return next(t, d)
}

func next(t testing.TB, d *json.Decoder) any {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch x := token.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		f, _ := x.Float64()
		return f
	case json.Delim:
		if x == '[' {
			list := []any{}
			for d.More() {
				list = append(list, next(t, d))
			}
			_, _ = d.Token()
			return list
		}
		m := msgpack.Map{}
		for d.More() {
			key, _ := d.Token()
			m = append(m, msgpack.Member{Key: key.(string), Value: next(t, d)})
		}
		_, _ = d.Token()
		return notation(t, m)
	}
	return token
}

func notation(t testing.TB, m msgpack.Map) any {
	t.Helper()
	if len(m) != 1 {
		return m
	}
	text, _ := m[0].Value.(string)
	switch m[0].Key {
	case "$undefined":
		return msgpack.Undefined{}
	case "$function", "$bigint":
		return function{}
	case "$bin":
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	case "$date":
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return msgpack.Time(at.UnixMilli())
	case "$number":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return m
}

var dialects = []struct {
	name    string
	dialect msgpack.Dialect
}{
	{"notepack2", msgpack.Notepack2},
	{"notepack3", msgpack.Notepack3},
	{"msgpackjs", msgpack.MsgpackJS},
}

// notGo are the vectors whose value Go has no counterpart of, or whose value
// the notation does not tell: typed arrays are shown as the bytes they hold.
func notGo(label, dialect string) bool {
	switch label {
	case "toJSON", "object with undefined and function values":
		return true
	case "Uint8Array", "ArrayBuffer", "Uint16Array [258,772]":
		return label != "Uint8Array" || dialect == "notepack2"
	}
	return false
}

func TestEncodeVectors(t *testing.T) {
	compared := 0
	for _, v := range load(t).Encode {
		want := map[string]string{"notepack2": v.Notepack2, "notepack3": v.Notepack3, "msgpackjs": v.MsgpackJS}
		for _, d := range dialects {
			if notGo(v.Label, d.name) {
				continue
			}
			compared++
			t.Run(v.Label+"/"+d.name, func(t *testing.T) {
				got, err := msgpack.Append(nil, d.dialect, plain(t, v.Value))
				if strings.HasPrefix(want[d.name], "ERROR") {
					if err == nil {
						t.Fatalf("got %x, want an error", got)
					}
					return
				}
				if err != nil || hex.EncodeToString(got) != want[d.name] {
					t.Errorf("got %x, %v; want %s", got, err, want[d.name])
				}
			})
		}
	}
	if compared < 100 {
		t.Errorf("only %d vectors were compared", compared)
	}
}

// TestEncodeUndefinedMember is the vector with a function in it, without that.
func TestEncodeUndefinedMember(t *testing.T) {
	v := msgpack.Map{{Key: "a", Value: msgpack.Undefined{}}, {Key: "c", Value: 1}}
	want := []string{"82a161d40000a16301", "81a16301", "82a161c0a16301"}
	for i, d := range dialects {
		got, err := msgpack.Append(nil, d.dialect, v)
		if err != nil || hex.EncodeToString(got) != want[i] {
			t.Errorf("%s: got %x, %v; want %s", d.name, got, err, want[i])
		}
	}
}

// TestEncodeArrayBuffer writes an ArrayBuffer as Notepack2 does.
func TestEncodeArrayBuffer(t *testing.T) {
	for _, v := range load(t).Encode {
		if v.Label != "ArrayBuffer" && v.Label != "Uint16Array [258,772]" {
			continue
		}
		data := plain(t, v.Value).([]byte)
		got, err := msgpack.Append(nil, msgpack.Notepack2, msgpack.Ext{Data: data})
		if err != nil || hex.EncodeToString(got) != v.Notepack2 {
			t.Errorf("%s: got %x, %v; want %s", v.Label, got, err, v.Notepack2)
		}
	}
}

// TestDecodeVectors compares with Notepack3, which knows the forms of the two
// others.
func TestDecodeVectors(t *testing.T) {
	for _, v := range load(t).Decode {
		t.Run(v.Label, func(t *testing.T) {
			b, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := msgpack.Decode(b, msgpack.Limits{})
			if v.Notepack3.Error != "" {
				if err != msgpack.ErrTrailing {
					t.Fatalf("got %v, %v; want %s", got, err, v.Notepack3.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := plain(t, v.Notepack3.Value)
			if v.Label == "uint64 max" {
				want = uint64(math.MaxUint64) // what JavaScript rounds
			}
			if x, ok := got.(msgpack.Ext); ok {
				got = []any{int64(x.Type), x.Data}
			}
			if !reflect.DeepEqual(got, sorted(want)) {
				t.Errorf("got %#v, want %#v", got, want)
			}
		})
	}
}

// sorted turns Maps into Go's.
func sorted(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, x := range v {
			list = append(list, sorted(x))
		}
		return list
	case msgpack.Map:
		m := map[string]any{}
		for _, x := range v {
			m[x.Key] = sorted(x.Value)
		}
		return m
	}
	return v
}

// TestRoundTripVectors reads what each dialect writes.
func TestRoundTripVectors(t *testing.T) {
	for _, v := range load(t).Encode {
		for dialect, text := range map[string]string{"notepack2": v.Notepack2, "notepack3": v.Notepack3, "msgpackjs": v.MsgpackJS} {
			if notGo(v.Label, dialect) || strings.HasPrefix(text, "ERROR") {
				continue
			}
			t.Run(v.Label+"/"+dialect, func(t *testing.T) {
				b, err := hex.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				got, err := msgpack.Decode(b, msgpack.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				want := plain(t, v.Value)
				if f, ok := want.(float64); ok && math.IsNaN(f) {
					if g, ok := got.(float64); !ok || !math.IsNaN(g) {
						t.Errorf("got %v, want NaN", got)
					}
					return
				}
				if dialect != "notepack2" {
					want = withoutUndefined(want)
				}
				if !reflect.DeepEqual(got, sorted(want)) {
					t.Errorf("got %#v, want %#v", got, want)
				}
			})
		}
	}
}

func withoutUndefined(v any) any {
	switch v := v.(type) {
	case msgpack.Undefined:
		return nil
	case []any:
		list := []any{}
		for _, x := range v {
			list = append(list, withoutUndefined(x))
		}
		return list
	}
	return v
}
