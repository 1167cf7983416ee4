package sio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// encodeArg is the text of an argument and its attachments joined by '|'.
func encodeArg(arg any) (string, string, error) {
	text, attachments, err := sio.AppendPacket([]byte("4"), sio.Header{Type: sio.Ack}, []any{arg})
	if err != nil {
		return "", "", err
	}
	s := string(text)
	s = s[strings.IndexByte(s, '[')+1 : len(s)-1]
	return s, string(bytes.Join(attachments, []byte("|"))), nil
}

type (
	named  string
	list   []any
	record struct {
		A int        `json:"a"`
		B sio.Binary `json:"b,omitempty"`
	}
	Embedded struct {
		Blob  sio.Binary
		Same  int
		Under int `json:"over"`
	}
	tree struct {
		Blob sio.Binary
		Kids []*tree `json:",omitempty"`
	}
	text int
)

func (n text) MarshalText() ([]byte, error) { return []byte("t" + string(rune('0'+n))), nil }

func TestEncodeArguments(t *testing.T) {
	const p0, p1, p2 = `{"_placeholder":true,"num":0}`, `{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":2}`
	in := values(t, `62-[{"x":{"_placeholder":true,"num":1},"y":`+p0+`},"s"]`, []byte("zero"), []byte("one"))
	number := 7
	var nilMap map[string]any
	var nilList []any
	var nilPointer *record
	tests := []struct {
		name        string
		arg         any
		want        string
		attachments string
	}{
		{"nil", nil, `null`, ""},
		{"bool", true, `true`, ""},
		{"int", -1, `-1`, ""},
		{"int8", int8(-8), `-8`, ""},
		{"int32", int32(-32), `-32`, ""},
		{"int64", int64(math.MinInt64), `-9223372036854775808`, ""},
		{"uint16", uint16(16), `16`, ""},
		{"uint32", uint32(32), `32`, ""},
		{"uint64", uint64(math.MaxUint64), `18446744073709551615`, ""},
		{"float", 1.0, `1`, ""},
		{"small float", 1e-7, `1e-7`, ""},
		{"smaller float", 1e-10, `1e-10`, ""},
		{"float in digits", 1e-6, `0.000001`, ""},
		{"large float", 1e20, `100000000000000000000`, ""},
		{"larger float", 1e21, `1e+21`, ""},
		{"minus zero", math.Copysign(0, -1), `0`, ""},
		{"float32", float32(0.1), `0.1`, ""},
		{"NaN", math.NaN(), `null`, ""},
		{"infinity", math.Inf(-1), `null`, ""},
		{"string", "a\"\\\b\f\n\r\t\x01\x7f<>&é\u2028😀", "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\x7f<>&é\u2028😀\"", ""},
		{"string that is not UTF-8", "a\xffb\xed\xa0\x80", `"a�b���"`, ""},
		{"named string", named("<a>"), `"<a>"`, ""},
		{"json.Number", json.Number("1.50"), `1.50`, ""},
		{"big integer", big.NewInt(5), `5`, ""},
		{"time", time.Date(2025, 11, 23, 6, 40, 0, 123e6, time.UTC), `"2025-11-23T06:40:00.123Z"`, ""},
		{"raw message", json.RawMessage("{ \"a\" : [ 1 , \" \\\" \" ] }\n"), `{"a":[1," \" "]}`, ""},
		{"nil raw message", json.RawMessage(nil), `null`, ""},
		{"Value", sio.RawValue([]byte(`{"a":1.0}`)), `{"a":1.0}`, ""},
		{"pointer to a Value", &in[1], `"s"`, ""},
		{"nil pointer to a Value", (*sio.Value)(nil), `null`, ""},
		{"zero Value", sio.Value{}, `null`, ""},
		{"Value with binary", in[0], `{"x":` + p0 + `,"y":` + p1 + `}`, "one|zero"},
		{"Values after binary", []any{[]byte("x"), in[0], in[1]}, `[` + p0 + `,{"x":` + p1 + `,"y":` + p2 + `},"s"]`, "x|one|zero"},
		{"slice of Values", in, `[{"x":` + p0 + `,"y":` + p1 + `},"s"]`, "one|zero"},
		{"bytes", []byte("data"), p0, "data"},
		{"nil bytes", []byte(nil), p0, ""},
		{"Binary", sio.Binary("data"), p0, "data"},
		{"strings", []string{"a", "b"}, `["a","b"]`, ""},
		{"nil map", nilMap, `null`, ""},
		{"nil list", nilList, `null`, ""},
		{"nil pointer", nilPointer, `null`, ""},
		{"pointer", &number, `7`, ""},
		{"map", map[string]any{"b": []byte("two"), "a": []any{[]byte("one"), nil}, "c\n": "x"}, `{"a":[` + p0 + `,null],"b":` + p1 + `,"c\n":"x"}`, "one|two"},
		{"named list", list{[]byte("one"), 1}, `[` + p0 + `,1]`, "one"},
		{"struct", record{1, sio.Binary("data")}, `{"a":1,"b":` + p0 + `}`, "data"},
		{"pointer to a struct", &record{1, sio.Binary("data")}, `{"a":1,"b":` + p0 + `}`, "data"},
		{"struct without its binary", record{A: 1}, `{"a":1}`, ""},
		{"structs", []record{{1, sio.Binary("one")}, {2, sio.Binary("two")}}, `[{"a":1,"b":` + p0 + `},{"a":2,"b":` + p1 + `}]`, "one|two"},
		{"array", [2]sio.Binary{sio.Binary("one"), nil}, `[` + p0 + `,` + p1 + `]`, "one|"},
		{"map of structs", map[int]record{10: {1, nil}, 9: {2, sio.Binary("x")}}, `{"10":{"a":1},"9":{"a":2,"b":` + p0 + `}}`, "x"},
		{"map with text keys", map[text]sio.Binary{2: sio.Binary("x")}, `{"t2":` + p0 + `}`, "x"},
		{"recursive type", tree{Kids: []*tree{{Blob: sio.Binary("x")}, nil}}, `{"Blob":` + p0 + `,"Kids":[{"Blob":` + p1 + `},null]}`, "|x"},
		{"interface in a struct", struct{ X any }{[]byte("x")}, `{"X":` + p0 + `}`, "x"},
		{"[]byte in a struct is base64", struct{ X []byte }{[]byte("data")}, `{"X":"ZGF0YQ=="}`, ""},
		{"embedded struct", struct {
			Embedded
			Same string
			Over int `json:"over"`
		}{Embedded{sio.Binary("x"), 1, 2}, "s", 3}, `{"Blob":` + p0 + `,"Same":"s","over":3}`, "x"},
		{"nil embedded pointer", struct {
			*Embedded
			X sio.Binary
		}{nil, sio.Binary("x")}, `{"X":` + p0 + `}`, "x"},
		{"placeholder-like object without binary", map[string]any{"_placeholder": true, "num": 0}, `{"_placeholder":true,"num":0}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, attachments, err := encodeArg(tt.arg)
			if err != nil || got != tt.want || attachments != tt.attachments {
				t.Errorf("got  %s %q, %v\nwant %s %q", got, attachments, err, tt.want, tt.attachments)
			}
		})
	}
}

// TestStructsAsEncodingJSON holds the encoder's own view of structs, which it
// takes when binary data may be inside, against encoding/json's.
func TestStructsAsEncodingJSON(t *testing.T) {
	type inner struct {
		Hidden   any
		Conflict int
	}
	type other struct{ Conflict int }
	type tagged struct {
		Conflict int `json:"Conflict"`
	}
	type Recursive struct {
		*Recursive
		X any
	}
	one := 1
	pointer := &one
	tests := []any{
		struct{ X any }{1},
		struct{ X any }{nil},
		struct{ X, y any }{1, 2},
		struct {
			inner
			other
		}{inner{1, 2}, other{3}},
		struct {
			inner
			tagged
		}{inner{1, 2}, tagged{3}},
		struct {
			X any     `json:"-"`
			S int     `json:",string"`
			T string  `json:"t,string"`
			U *int    `json:"u,string"`
			V *int    `json:"v,string"`
			W float64 `json:",string,omitempty"`
			A any     `json:"ä$,omitempty"`
		}{1, 4, "five\"", pointer, nil, 0, nil},
		struct {
			X any               `json:",omitempty"`
			M map[string]any    `json:",omitempty"`
			L []any             `json:",omitempty"`
			P *int              `json:",omitempty"`
			B bool              `json:",omitempty"`
			E [0]any            `json:",omitempty"`
			F [1]any            `json:",omitempty"`
			T time.Time         `json:",omitempty"`
			Z time.Time         `json:",omitzero"`
			Y *time.Time        `json:",omitzero"`
			V struct{ A int }   `json:",omitzero"`
			K map[string]string `json:"k"`
		}{},
		Recursive{X: 1},
		Recursive{Recursive: &Recursive{X: 2}, X: 1},
		map[text]any{1: 1, 2: nil},
		map[uint8]any{1: 1, 20: nil, 3: "x"},
		[]any{map[string]any{"b": 1, "a": []any{}}, struct{}{}},
		[]json.Marshaler{json.RawMessage("[1]"), nil},
	}
	for _, x := range tests {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(x); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSpace(buf.String())
		if got, _, err := encodeArg(x); err != nil || got != want {
			t.Errorf("%T:\ngot  %s, %v\nwant %s", x, got, err, want)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	var loop any
	cycle := []any{nil}
	cycle[0] = cycle
	loop = cycle
	ring := &tree{}
	reserved := sio.RawValue([]byte(`"connect"`))
	ring.Kids = []*tree{ring}
	like := map[string]any{"_placeholder": true, "num": 0}
	event := sio.Header{Type: sio.Event}
	ack := sio.Header{Type: sio.Ack}
	var unsupported *json.UnsupportedTypeError
	tests := []struct {
		name string
		h    sio.Header
		args []any
		want error
	}{
		{"no name", event, nil, sio.ErrPayload},
		{"nil for a name", event, []any{nil}, sio.ErrPayload},
		{"object for a name", event, []any{sio.RawValue([]byte(`{}`))}, sio.ErrPayload},
		{"reserved name behind a pointer", event, []any{&reserved}, sio.ErrReserved},
		{"null Value for a name", event, []any{sio.Value{}}, sio.ErrPayload},
		{"reserved name", event, []any{"disconnect"}, sio.ErrReserved},
		{"reserved name in a Value", event, []any{sio.RawValue([]byte(`"disconn\u0065cting"`))}, sio.ErrReserved},
		{"reserved name in an ack", ack, []any{"disconnect"}, nil},
		{"name in a Value", event, []any{sio.RawValue([]byte(`"a"`))}, nil},
		{"number for a name", event, []any{1}, nil},
		{"number in a Value for a name", event, []any{sio.RawValue([]byte(`-1`))}, nil},
		{"other type", sio.Header{Type: sio.Connect}, []any{"a"}, sio.ErrType},
		{"binary type", sio.Header{Type: sio.BinaryEvent}, []any{"a"}, sio.ErrType},
		{"raw message that is not JSON", ack, []any{json.RawMessage(`{"a"}`)}, sio.ErrPayload},
		{"empty raw message", ack, []any{json.RawMessage{}}, sio.ErrPayload},
		{"two in a raw message", ack, []any{json.RawMessage(`1,2`)}, sio.ErrPayload},
		{"raw message that is not UTF-8", ack, []any{json.RawMessage("\"\xff\"")}, sio.ErrPayload},
		{"raw message inside that is not UTF-8", ack, []any{[]json.RawMessage{json.RawMessage("\"\xff\"")}}, sio.ErrPayload},
		{"cycle", ack, []any{loop}, sio.ErrDepth},
		{"cycle of structs", ack, []any{ring}, sio.ErrDepth},
		{"placeholder-like object beside binary", ack, []any{[]byte("x"), like}, sio.ErrPlaceholder},
		{"placeholder-like object before binary", ack, []any{like, []byte("x")}, sio.ErrPlaceholder},
		{"placeholder-like raw object beside binary", ack, []any{[]byte("x"), sio.RawValue([]byte(`{"_\u0070laceholder":true,"num":7}`))}, sio.ErrPlaceholder},
		{"placeholder-like object around binary", ack, []any{map[string]any{"_placeholder": true, "num": 0, "x": []byte("x")}}, sio.ErrPlaceholder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := []byte("4")
			text, attachments, err := sio.AppendPacket(dst, tt.h, tt.args)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err != nil && (string(text) != "4" || attachments != nil) {
				t.Errorf("%q, %q with an error", text, attachments)
			}
		})
	}
	for _, x := range []any{make(chan int), []any{func() {}}, map[bool]any{true: 1}, struct{ X, Y any }{1, make(chan int)}} {
		if _, _, err := encodeArg(x); !errors.As(err, &unsupported) {
			t.Errorf("%T: %v", x, err)
		}
	}
}

func TestAppendObject(t *testing.T) {
	tests := []struct {
		name   string
		h      sio.Header
		object any
		want   string
		err    error
	}{
		{"connect", sio.Header{Type: sio.Connect, Namespace: "/"}, struct {
			SID string `json:"sid"`
		}{"x"}, `40{"sid":"x"}`, nil},
		{"connect to a namespace", sio.Header{Type: sio.Connect, Namespace: "/n"}, nil, `40/n,`, nil},
		{"connect error", sio.Header{Type: sio.ConnectError}, map[string]any{"message": "no", "data": nil}, `44{"data":null,"message":"no"}`, nil},
		{"connect error with text", sio.Header{Type: sio.ConnectError}, "no", `44"no"`, nil},
		{"disconnect", sio.Header{Type: sio.Disconnect, Namespace: "/n"}, nil, `41/n,`, nil},
		{"connect with text", sio.Header{Type: sio.Connect}, "x", ``, sio.ErrPayload},
		{"connect with an array", sio.Header{Type: sio.Connect}, []any{}, ``, sio.ErrPayload},
		{"connect with binary", sio.Header{Type: sio.Connect}, map[string]any{"x": []byte("x")}, ``, sio.ErrPayload},
		{"disconnect with an object", sio.Header{Type: sio.Disconnect}, struct{}{}, ``, sio.ErrPayload},
		{"connect with what is no JSON", sio.Header{Type: sio.Connect}, json.RawMessage("{"), ``, sio.ErrPayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if tt.err != nil {
				want = "4"
			}
			if got, err := sio.AppendObject([]byte("4"), tt.h, tt.object); !errors.Is(err, tt.err) || string(got) != want {
				t.Errorf("got %s, %v; want %s, %v", got, err, want, tt.err)
			}
		})
	}
}

func TestPayload(t *testing.T) {
	h := sio.Header{Type: sio.Event, Namespace: "/n", ID: 7, HasID: true}
	tests := []struct {
		name     string
		args     []any
		want     string // the packet
		with     string // the arguments with one more
		elements int
	}{
		{"none", nil, `42/n,7[]`, `["off\"set"]`, 0},
		{"text", []any{"a", 1}, `42/n,7["a",1]`, `["a",1,"off\"set"]`, 2},
		{
			"binary", []any{"a", []byte("x")}, `451-/n,7["a",{"_placeholder":true,"num":0}]`,
			`["a",{"_placeholder":true,"num":0},"off\"set"]`, 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := sio.EncodePayload(tt.args)
			if err != nil {
				t.Fatal(err)
			}
			text, err := sio.AppendPayload([]byte("4"), h, p)
			if err != nil || string(text) != tt.want {
				t.Errorf("got %s, %v; want %s", text, err, tt.want)
			}
			if list := p.Args(); len(list) != tt.elements {
				t.Errorf("arguments %v", list)
			}
			before := string(p.JSON)
			more := p.With(`off"set`)
			if string(more.JSON) != tt.with || len(more.Attachments) != len(p.Attachments) || string(p.JSON) != before {
				t.Errorf("got %s, want %s", more.JSON, tt.with)
			}
		})
	}
	p, err := sio.EncodePayload([]any{"a", []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if b, ok := p.Args()[1].Bytes(); !ok || string(b) != "x" {
		t.Errorf("%q, %v", b, ok)
	}
	if _, err := sio.AppendPayload(nil, sio.Header{Type: sio.Connect}, p); !errors.Is(err, sio.ErrType) {
		t.Error(err)
	}
	if _, err := sio.EncodePayload([]any{make(chan int)}); err == nil {
		t.Error("a channel was encoded")
	}
	if _, err := sio.EncodePayload([]any{[]byte("x"), sio.RawValue([]byte(placeholder))}); !errors.Is(err, sio.ErrPlaceholder) {
		t.Error(err)
	}
}
