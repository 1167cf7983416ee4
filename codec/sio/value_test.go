package sio_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// values are the arguments of an event or acknowledgement that arrives with
// these attachments.
func values(t testing.TB, text string, attachments ...[]byte) []sio.Value {
	t.Helper()
	chunks := []any{text}
	for _, a := range attachments {
		chunks = append(chunks, a)
	}
	var d sio.Decoder
	p, ok, err := feed(&d, chunks...)
	if err != nil || !ok {
		t.Fatalf("%.50s: complete %v, error %v", text, ok, err)
	}
	return p.Args(nil)
}

const placeholder = `{"_placeholder":true,"num":0}`

func TestAny(t *testing.T) {
	tests := []struct {
		text string
		want any
	}{
		{`null`, nil},
		{`true`, true},
		{`false`, false},
		{`-1.5e3`, -1500.0},
		{`1e999`, math.Inf(1)},
		{`""`, ""},
		{`"a\"\\\/\b\f\n\r\té\ud83d\ude00"`, "a\"\\/\b\f\n\r\té😀"},
		{`"\ud800x\udc00\ud800A"`, "\ufffdx\ufffd\ufffdA"},
		{`[]`, []any{}},
		{`[ 1 , [ ] , { } ]`, []any{1.0, []any{}, map[string]any{}}},
		{`{ "a" : [ 1 ] , "b" : { "c" : null } , "\u0061" : 2 }`, map[string]any{"a": 2.0, "b": map[string]any{"c": nil}}},
		{placeholder, []byte("data")},
		{`{"a":[` + placeholder + `,1,` + placeholder + `]}`, map[string]any{"a": []any{[]byte("data"), 1.0, []byte("data")}}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := values(t, `61-[`+tt.text+`]`, []byte("data"))[0].Any()
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %#v, %v; want %#v", got, err, tt.want)
			}
		})
	}
}

func TestValueIs(t *testing.T) {
	list := values(t, `61-["a\n",1,null,{"x":`+placeholder+`},`+placeholder+`,{"x":1},""]`, []byte("data"))
	list = append(list, sio.Value{})
	tests := []struct {
		name              string
		str, json, binary bool
		null              bool
		text              string
	}{
		{name: "string", str: true, json: true, text: "a\n"},
		{name: "number", json: true, text: "1"},
		{name: "null", json: true, null: true, text: "null"},
		{name: "binary inside", text: `{"x":"ZGF0YQ=="}`},
		{name: "binary", binary: true, text: `"ZGF0YQ=="`},
		{name: "object", json: true, text: `{"x":1}`},
		{name: "empty string", str: true, json: true, text: ``},
		{name: "zero Value", json: true, null: true, text: "null"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := list[i]
			if _, ok := v.Str(); ok != tt.str {
				t.Errorf("Str: %v", ok)
			}
			if b, ok := v.AppendText([]byte("x")); ok != tt.str || ok && string(b) != "x"+tt.text || !ok && string(b) != "x" {
				t.Errorf("AppendText: %q, %v", b, ok)
			}
			if _, ok := v.JSON(); ok != tt.json {
				t.Errorf("JSON: %v", ok)
			}
			if b, ok := v.Bytes(); ok != tt.binary || ok && string(b) != "data" {
				t.Errorf("Bytes: %q, %v", b, ok)
			}
			if v.IsNull() != tt.null {
				t.Errorf("IsNull: %v", v.IsNull())
			}
			if v.String() != tt.text {
				t.Errorf("String: %q, want %q", v.String(), tt.text)
			}
		})
	}
}

func TestDecodeInto(t *testing.T) {
	type file struct {
		Name  string
		Body  []byte
		Thumb sio.Binary
		Meta  any
		Rest  sio.Value
	}
	list := values(t, `62-["text",{"name":"n","body":`+placeholder+`,"thumb":{"_placeholder":true,"num":1},"meta":{"k":1},"rest":[1]},`+placeholder+`,12]`,
		[]byte("body"), []byte("thumb"))

	var f file
	if err := list[1].Decode(&f); err != nil {
		t.Fatal(err)
	}
	if f.Name != "n" || string(f.Body) != "body" || string(f.Thumb) != "thumb" || f.Rest.String() != "[1]" {
		t.Errorf("%+v", f)
	}
	var (
		s   string
		n   int
		b   []byte
		bin sio.Binary
		x   any
		v   sio.Value
		raw json.RawMessage
	)
	for i, into := range []struct {
		value int
		into  any
		check func() bool
	}{
		{0, &s, func() bool { return s == "text" }},
		{0, &raw, func() bool { return string(raw) == `"text"` }},
		{3, &n, func() bool { return n == 12 }},
		{3, &raw, func() bool { return string(raw) == `12` }},
		{2, &b, func() bool { return string(b) == "body" }},
		{2, &bin, func() bool { return string(bin) == "body" }},
		{2, &x, func() bool { return reflect.DeepEqual(x, []byte("body")) }},
		{2, &raw, func() bool { return string(raw) == `"Ym9keQ=="` }},
		{1, &v, func() bool { return v == list[1] }},
	} {
		if err := list[into.value].Decode(into.into); err != nil || !into.check() {
			t.Errorf("%d: %v, %v", i, reflect.ValueOf(into.into).Elem(), err)
		}
	}
	var wrong *json.UnmarshalTypeError
	if err := list[0].Decode(&n); !errors.As(err, &wrong) {
		t.Errorf("a string into an int: %v", err)
	}
	if err := list[3].Decode(&s); !errors.As(err, &wrong) {
		t.Errorf("a number into a string: %v", err)
	}
}

// TestPlaceholdersDoNotMultiply: a thousand placeholders of one attachment must
// not become a thousand copies of it.
func TestPlaceholdersDoNotMultiply(t *testing.T) {
	many := `61-[[` + strings.Repeat(placeholder+",", 999) + placeholder + `]]`
	v := values(t, many, make([]byte, 100_000))[0]
	var into [][]byte
	if err := v.Decode(&into); !errors.Is(err, sio.ErrTooLarge) {
		t.Errorf("Decode: %v", err)
	}
	if _, err := v.MarshalJSON(); !errors.Is(err, sio.ErrTooLarge) {
		t.Errorf("MarshalJSON: %v", err)
	}
	if s := v.String(); s != "" {
		t.Errorf("String has %d bytes", len(s))
	}
	x, err := v.Any()
	if list, ok := x.([]any); err != nil || !ok || len(list) != 1000 {
		t.Fatalf("Any: %T, %v", x, err)
	} else if &list[0].([]byte)[0] != &list[999].([]byte)[0] {
		t.Error("Any copied the attachment")
	}
	few := values(t, `61-[[`+placeholder+`,`+placeholder+`]]`, make([]byte, 100_000))[0]
	if err := few.Decode(&into); err != nil || len(into) != 2 || len(into[1]) != 100_000 {
		t.Errorf("twice: %d, %v", len(into), err)
	}
}

func TestClone(t *testing.T) {
	text := []byte(`2["name",{"a":1}]`)
	var d sio.Decoder
	p, _, err := d.Text(text)
	if err != nil {
		t.Fatal(err)
	}
	v := p.Args(nil)[1].Clone()
	clear(text)
	if v.String() != `{"a":1}` {
		t.Error(v)
	}
}

func TestValueInJSON(t *testing.T) {
	in := struct{ A, B, C sio.Value }{A: sio.RawValue([]byte(` {"x":1.0} `)), B: values(t, `61-[`+placeholder+`]`, []byte("data"))[0]}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `{"A":{"x":1.0},"B":"ZGF0YQ==","C":null}` {
		t.Fatalf("%s, %v", b, err)
	}
	out := in
	if err := json.Unmarshal(b, &out); err != nil || out.A.String() != `{"x":1.0}` || out.B.String() != "ZGF0YQ==" || !out.C.IsNull() {
		t.Errorf("%v, %v", out, err)
	}
}

func TestPlaceholders(t *testing.T) {
	tests := []struct {
		text string
		want []int
		err  error
	}{
		{`["a",{"x":1}]`, nil, nil},
		{`[{"_placeholder":true,"num":1},{"a":{"_placeholder":true,"num":0}},"_placeholder"]`, []int{1, 0}, nil},
		{`{"_placeholder":true,"num":1,"x":[{"_placeholder":true,"num":2}]}`, []int{1}, nil},
		{`{"x":[{"_placeholder":true,"num":2}],"_placeholder":true,"num":1}`, []int{1}, nil},
		{`{"x":[{"_placeholder":true}],"_placeholder":true,"num":1}`, []int{1}, nil},
		{`{"num":1,"_placeholder":[true]}`, nil, nil},
		{`{"_placeholder":true,"num":1,"_placeholder":false}`, nil, nil},
		{`[["_placeholder",true,"num",1]]`, nil, nil},
		{`{"x":"_placeholder","y":true,"num":1}`, nil, nil},
		{`[` + strings.Repeat(`[{"a":`, 500) + `{"_placeholder":true,"num":3}` + strings.Repeat("}]", 500) + `]`, []int{3}, nil},
		{`{"_placeholder":true,"num":null}`, nil, sio.ErrPlaceholder},
		{`{"_placeholder":true,"num":[0]}`, nil, sio.ErrPlaceholder},
		{`{"_placeholder":true,"num":-0}`, []int{0}, nil},
		{`{"_placeholder":true,"num":1e1}`, []int{10}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.text[:min(len(tt.text), 60)], func(t *testing.T) {
			got, err := sio.Placeholders([]byte(tt.text))
			if !errors.Is(err, tt.err) || err == nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}
