package sio_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// msgpackVectors are packets as Node's msgpack parser writes and reads them.
type msgpackVectors struct {
	Valid []struct {
		Label     string
		Hex       string
		RoundTrip struct{ Decoded map[string]json.RawMessage }
	}
	Invalid []struct {
		Hex, Text, Error string
		Decoded          map[string]json.RawMessage
	}
}

func loadMsgpack(t testing.TB) (v msgpackVectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/msgpack.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMsgpackDecodeVectors(t *testing.T) {
	for _, v := range loadMsgpack(t).Valid {
		t.Run(v.Label, func(t *testing.T) {
			var d sio.MsgpackDecoder
			p, ok, err := d.Binary(unhex(t, v.Hex))
			if !ok || err != nil {
				t.Fatalf("complete %v, error %v", ok, err)
			}
			want := v.RoundTrip.Decoded
			if string(want["data"]) != "" && value(t, slices.Concat([]byte(`[`), want["data"], []byte(`]`))).([]any)[0] == nil {
				delete(want, "data") // undefined
			}
			compare(t, &p, want)
		})
	}
}

func TestMsgpackRefusals(t *testing.T) {
	wrong := map[string]error{
		"invalid packet type": sio.ErrType,
		"invalid payload":     sio.ErrPayload,
		"invalid namespace":   sio.ErrNamespace,
		"invalid packet id":   sio.ErrID,
		"1 trailing bytes":    sio.ErrType, // of the empty map before it
		"9 trailing bytes":    sio.ErrExpectedBinary,
	}
	for _, v := range loadMsgpack(t).Invalid {
		t.Run(v.Hex+v.Text, func(t *testing.T) {
			var d sio.MsgpackDecoder
			var p sio.Packet
			var err error
			if v.Text != "" {
				p, _, err = d.Text([]byte(v.Text))
			} else {
				p, _, err = d.Binary(unhex(t, v.Hex))
			}
			if v.Error != "" {
				if want := wrong[v.Error]; err == nil || !errors.Is(err, want) && v.Error != "1 trailing bytes" {
					t.Errorf("error %v, want %v", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compare(t, &p, v.Decoded)
		})
	}
}

// TestMsgpackChecks are packets beyond the vectors; the answers are those of
// Node's parser but where the name says otherwise.
func TestMsgpackChecks(t *testing.T) {
	type m = msgpack.Map
	packet := func(kind, nsp, id, data any) m {
		all := m{}
		for _, x := range (m{{Key: "type", Value: kind}, {Key: "nsp", Value: nsp}, {Key: "id", Value: id}, {Key: "data", Value: data}}) {
			if x.Value != nil {
				all = append(all, x)
			}
		}
		return all
	}
	name := []any{"x"}
	var undefined msgpack.Undefined
	tests := []struct {
		name string
		v    any
		want error
	}{
		{"no map", []any{1}, sio.ErrPayload},
		{"nil", msgpack.Raw{0xc0}, sio.ErrPayload},
		{"an empty map", m{}, sio.ErrType},
		{"type below 0", packet(-1, "/", nil, nil), sio.ErrType},
		{"type between", packet(2.5, "/", nil, name), sio.ErrType},
		{"type of text", packet("2", "/", nil, name), sio.ErrType},
		{"type as a float", packet(msgpack.Raw{0xca, 0x40, 0, 0, 0}, "/", nil, name), nil},
		{"no namespace", packet(2, undefined, nil, name), sio.ErrNamespace},
		{"a namespace that is a number", packet(2, 5, nil, name), sio.ErrNamespace},
		{"an empty namespace, which Node takes", packet(2, "", nil, name), sio.ErrNamespace},
		{"an id that is undefined", packet(2, "/", undefined, name), nil},
		{"an id below 0, which Node takes", packet(2, "/", -1, name), sio.ErrID},
		{"an id between", packet(2, "/", 0.5, name), sio.ErrID},
		{"an id of text", packet(2, "/", "1", name), sio.ErrID},
		{"an id beyond 63 bits", packet(2, "/", uint64(math.MaxUint64), name), sio.ErrID},
		{"an event without data", packet(2, "/", nil, nil), sio.ErrPayload},
		{"an event of undefined", packet(2, "/", nil, undefined), sio.ErrPayload},
		{"an event of text", packet(2, "/", nil, "x"), sio.ErrPayload},
		{"an event whose name is an object", packet(2, "/", nil, []any{m{}}), nil},
		{"an ack without arguments", packet(3, "/", 0, []any{}), nil},
		{"an ack without data", packet(3, "/", 0, nil), sio.ErrPayload},
		{"a connect with an array", packet(0, "/", nil, []any{}), sio.ErrPayload},
		{"a connect with text", packet(0, "/", nil, "x"), sio.ErrPayload},
		{"a connect with binary data", packet(0, "/", nil, []byte{1}), sio.ErrPayload},
		{"a connect with a date", packet(0, "/", nil, msgpack.Time(0)), sio.ErrPayload},
		{"a disconnect with undefined", packet(1, "/", nil, undefined), nil},
		{"a disconnect with a map", packet(1, "/", nil, m{}), sio.ErrPayload},
		{"an error of text", packet(4, "/", nil, "x"), nil},
		{"an error of an array", packet(4, "/", nil, []any{1}), sio.ErrPayload},
		{"an error of nothing", packet(4, "/", nil, nil), sio.ErrPayload},
		{"the last of equal keys counts", append(packet(9, "/", nil, name), msgpack.Member{Key: "type", Value: 2}), nil},
		{"a map like a placeholder", packet(2, "/", nil, []any{"x", m{{Key: "_placeholder", Value: true}}}), nil},
		{"the same beside binary data, which Node takes", packet(2, "/", nil, []any{"x", m{{Key: "_placeholder", Value: true}}, []byte{1}}), sio.ErrPlaceholder},
		{"a map with a key that is no name, which Node takes", packet(2, "/", nil, msgpack.Raw{0x91, 0x81, 0xc0, 0xc0}), sio.ErrPayload},
		{"data cut off", msgpack.Raw(unhex(t, "81 a464617461 92 01")), sio.ErrPayload},
		{"trailing bytes", msgpack.Raw(unhex(t, "83 a474797065 01 a36e7370 a12f a17801 c0")), sio.ErrPayload},
		{"too deep", packet(2, "/", nil, msgpack.Raw(append(bytes.Repeat([]byte{0x91}, 513), 0xc0))), sio.ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := msgpack.Append(nil, msgpack.Notepack2, tt.v)
			if err != nil {
				t.Fatal(err)
			}
			d := sio.NewMsgpackDecoder(nil)
			p, ok, err := d.Binary(b)
			if !errors.Is(err, tt.want) || ok != (tt.want == nil) {
				t.Errorf("got %+v, %v, %v; want %v", p, ok, err, tt.want)
			}
		})
	}
}

// TestMsgpackPacketOwnsItsMemory writes over the message after it was read.
func TestMsgpackPacketOwnsItsMemory(t *testing.T) {
	args := []any{"x", []byte{1, 2}, map[string]any{"a": []any{[]byte{}, []byte{3}}}}
	b, err := sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event, Namespace: "/chat", ID: 7, HasID: true}, args)
	if err != nil {
		t.Fatal(err)
	}
	d := sio.NewMsgpackDecoder(nil)
	p, _, err := d.Binary(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] = 0xc1
	}
	if p.Namespace != "/chat" || p.ID != 7 || !p.HasID || len(p.Attachments) != 3 {
		t.Errorf("got %+v", p)
	}
	for i, v := range p.Args(nil) {
		if got, err := v.Any(); err != nil || !reflect.DeepEqual(got, args[i]) {
			t.Errorf("argument %d: %v, %v; want %v", i, got, err, args[i])
		}
	}
	_ = append(p.Attachments[0], 9)
	if !bytes.Equal(p.Attachments[2], []byte{3}) {
		t.Error("one attachment runs into another")
	}
}

// TestMsgpackConnectWithBinaryData has no attachments to put it into.
func TestMsgpackConnectWithBinaryData(t *testing.T) {
	b, err := msgpack.Append(nil, msgpack.Notepack2, map[string]any{"type": 0, "nsp": "/", "data": map[string]any{"key": []byte("secret")}})
	if err != nil {
		t.Fatal(err)
	}
	var d sio.MsgpackDecoder
	p, ok, err := d.Binary(b)
	if err != nil || !ok || string(p.Data) != `{"key":"c2VjcmV0"}` || p.Attachments != nil {
		t.Errorf("got %s with %d attachments, %v", p.Data, len(p.Attachments), err)
	}
}

func TestMsgpackTooManyBinaries(t *testing.T) {
	args := []any{"x"}
	for range 4097 {
		args = append(args, []byte{})
	}
	b, err := sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event}, args)
	if err != nil {
		t.Fatal(err)
	}
	var d sio.MsgpackDecoder
	if _, _, err := d.Binary(b); !errors.Is(err, sio.ErrTooMany) {
		t.Errorf("got %v", err)
	}
}

func TestMsgpackNamespaceOfOneCharacter(t *testing.T) {
	var d sio.MsgpackDecoder
	for _, nsp := range []string{"x", "/", "/a", "/a", "y"} {
		b, err := sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event, Namespace: nsp}, []any{"e"})
		if err != nil {
			t.Fatal(err)
		}
		if p, _, err := d.Binary(b); err != nil || p.Namespace != nsp {
			t.Errorf("%q: got %q, %v", nsp, p.Namespace, err)
		}
	}
}

// TestMsgpackEncodeVectors compares with what a Node server sends.
func TestMsgpackEncodeVectors(t *testing.T) {
	in := values(t, `51-["x",{"_placeholder":true,"num":0}]`, []byte{1, 2, 3})
	type object = map[string]any
	event := func(h sio.Header, args ...any) func() ([]byte, error) {
		return func() ([]byte, error) { return sio.AppendMsgpackPacket(nil, h, args) }
	}
	other := func(h sio.Header, v any) func() ([]byte, error) {
		return func() ([]byte, error) { return sio.AppendMsgpackObject(nil, h, v) }
	}
	sent := map[string][]func() ([]byte, error){
		"CONNECT client /": {other(sio.Header{Type: sio.Connect}, nil), other(sio.Header{Type: sio.Connect, Namespace: "/"}, nil)},
		"CONNECT client auth": {other(sio.Header{Type: sio.Connect}, object{"token": "123"}), other(sio.Header{Type: sio.Connect}, struct {
			Token string `json:"token"`
		}{"123"})},
		"CONNECT client /admin": {other(sio.Header{Type: sio.Connect, Namespace: "/admin"}, nil)},
		"DISCONNECT":            {other(sio.Header{Type: sio.Disconnect}, nil)},
		"EVENT": {
			event(sio.Header{Type: sio.Event}, "hello", 1, "2", object{"3": []any{"4"}}),
			event(sio.Header{Type: sio.Event, Namespace: "/"}, "hello", 1.0, json.RawMessage(` "2" `), object{"3": []string{"4"}}),
			event(sio.Header{Type: sio.Event}, sio.RawValue([]byte(`"hello"`)), uint64(1), "2", sio.RawValue([]byte(`{"3":["4"]}`))),
		},
		"EVENT binary (no placeholders; type stays 2)": {
			event(sio.Header{Type: sio.Event}, "bin", []byte{1, 2, 3}),
			event(sio.Header{Type: sio.Event}, "bin", sio.Binary{1, 2, 3}),
			event(sio.Header{Type: sio.Event}, "bin", in[1]),
			event(sio.Header{Type: sio.Event}, "bin", &in[1]),
		},
		"ACK":                     {event(sio.Header{Type: sio.Ack, ID: 12, HasID: true}, "ok")},
		"EVENT to /admin with id": {event(sio.Header{Type: sio.Event, Namespace: "/admin", ID: 3, HasID: true}, "a")},
	}
	vectors := map[string]string{}
	for _, v := range loadMsgpack(t).Valid {
		vectors[v.Label] = v.Hex
	}
	for label, ways := range sent {
		for _, way := range ways {
			got, err := way()
			if want := vectors[label]; err != nil || hex.EncodeToString(got) != want {
				t.Errorf("%s: got %x, %v; want %s", label, got, err, want)
			}
		}
	}
}

// TestMsgpackEncodersAgree encodes each kind of argument by both ways: at once,
// and as a payload.
func TestMsgpackEncodersAgree(t *testing.T) {
	in := values(t, `62-[{"x":{"_placeholder":true,"num":1}},{"_placeholder":true,"num":0},1.5]`, []byte("zero"), []byte("one"))
	args := []any{
		"e", nil, true, 1, int32(-40), int64(1) << 53, uint32(70000), uint64(math.MaxUint64), 0.1, float32(0.1), math.NaN(), 1e21, math.Copysign(0, -1),
		"text \u2028 \xff", []byte{1}, sio.Binary{}, json.RawMessage(`{"b": 1, "a": [2]}`), in[0], in[1], &in[0], (*sio.Value)(nil), sio.Value{},
		[]any{[]byte{2}, in[0], []any(nil)}, map[string]any{"z": 1, "a": []byte{3}, "n": map[string]any(nil)},
		record{1, sio.Binary{4}}, []record{{}}, map[int]string{5: "x"}, []int{1, 2}, tree{Blob: sio.Binary{6}},
	}
	h := sio.Header{Type: sio.Event, Namespace: "/n", ID: 0, HasID: true}
	direct, err := sio.AppendMsgpackPacket([]byte("4"), h, args)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sio.EncodePayload(args)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := sio.AppendMsgpackPayload([]byte("4"), h, p)
	if err != nil || !bytes.Equal(direct, stored) {
		t.Errorf("%v\n%x\n%x", err, direct, stored)
	}
}

func TestMsgpackEncodeErrors(t *testing.T) {
	var deep any
	for range 1025 {
		deep = []any{deep}
	}
	var deepMap any
	for range 1025 {
		deepMap = map[string]any{"": deepMap}
	}
	event, ack := sio.Header{Type: sio.Event}, sio.Header{Type: sio.Ack}
	lookalike := json.RawMessage(`{"_placeholder":true,"num":5}`)
	tests := []struct {
		name string
		got  func(dst []byte) ([]byte, error)
		want error
	}{
		{"no name", func(dst []byte) ([]byte, error) { return sio.AppendMsgpackPacket(dst, event, nil) }, sio.ErrPayload},
		{"a reserved name", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackPacket(dst, event, []any{"disconnect"})
		}, sio.ErrReserved},
		{"another type", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackPacket(dst, sio.Header{Type: sio.Connect}, nil)
		}, sio.ErrType},
		{"no JSON", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackPacket(dst, ack, []any{json.RawMessage("x")})
		}, sio.ErrPayload},
		{"too deep", func(dst []byte) ([]byte, error) { return sio.AppendMsgpackPacket(dst, ack, []any{deep}) }, sio.ErrDepth},
		{"too deep a map", func(dst []byte) ([]byte, error) { return sio.AppendMsgpackPacket(dst, ack, []any{deepMap}) }, sio.ErrDepth},
		{"a placeholder in what has attachments", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackPacket(dst, ack, []any{[]any{1}, struct{ A, B any }{sio.Binary{1}, lookalike}})
		}, sio.ErrPlaceholder},
		{"a payload of another type", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackPayload(dst, sio.Header{Type: sio.Connect}, sio.Payload{JSON: []byte("[]")})
		}, sio.ErrType},
		{"a payload that is none", func(dst []byte) ([]byte, error) { return sio.AppendMsgpackPayload(dst, ack, sio.Payload{}) }, sio.ErrPayload},
		{"an object that is none", func(dst []byte) ([]byte, error) {
			return sio.AppendMsgpackObject(dst, sio.Header{Type: sio.Connect}, 5)
		}, sio.ErrPayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.got([]byte("x"))
			if !errors.Is(err, tt.want) || string(got) != "x" {
				t.Errorf("got %q, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// TestMsgpackPlaceholderIsData sends what looks like a placeholder.
func TestMsgpackPlaceholderIsData(t *testing.T) {
	args := []any{"e", json.RawMessage(`{"_placeholder":true,"num":0}`), []byte{1}}
	b, err := sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event}, args)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "82 ac5f706c616365686f6c646572 c3 a36e756d 00 c40101"); !bytes.Contains(b, want) {
		t.Errorf("%x is not in %x", want, b)
	}
}

func TestMsgpackAllocations(t *testing.T) {
	h := sio.Header{Type: sio.Event, Namespace: "/chat", ID: 1, HasID: true}
	args := []any{"hello", 1, "2", sio.RawValue([]byte(`{"3":["4"]}`))}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { buf, _ = sio.AppendMsgpackPacket(buf[:0], h, args) }); n > 0 {
		t.Errorf("encoding an event: %v allocations", n)
	}
	packet := bytes.Clone(buf)
	d := sio.NewMsgpackDecoder(nil)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = d.Binary(packet) }); n > 1 {
		t.Errorf("decoding an event: %v allocations", n)
	}
}

// FuzzMsgpackDecoder reads anything; what was read is written and read again,
// the same.
func FuzzMsgpackDecoder(f *testing.F) {
	v := loadMsgpack(f)
	for _, x := range v.Valid {
		f.Add(unhex(f, x.Hex))
	}
	for _, x := range v.Invalid {
		f.Add(unhex(f, x.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		d := sio.NewMsgpackDecoder(nil)
		p, ok, err := d.Binary(b)
		if !bytes.Equal(b, before) {
			t.Fatal("the message was written to")
		}
		if ok != (err == nil) {
			t.Fatalf("complete %v, error %v", ok, err)
		}
		if err != nil {
			return
		}
		if p.Data != nil && !json.Valid(p.Data) {
			t.Fatalf("%q is not JSON", p.Data)
		}
		h := sio.Header{Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}
		var out []byte
		if p.Type == sio.Event || p.Type == sio.Ack {
			for i, a := range p.Args(nil) {
				if _, err := a.Any(); err != nil {
					t.Fatalf("argument %d of %s: %v", i, p.Data, err)
				}
			}
			out, err = sio.AppendMsgpackPayload(nil, h, sio.Payload{JSON: p.Data, Attachments: p.Attachments})
		} else if p.Data == nil {
			out, err = sio.AppendMsgpackObject(nil, h, nil)
		} else {
			out, err = sio.AppendMsgpackObject(nil, h, sio.RawValue(p.Data))
		}
		if err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		q, _, err := d.Binary(out)
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%+v (%s) became %+v (%s), %v", p, p.Data, q, q.Data, err)
		}
	})
}
