package sio_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// nesting is how deep a text that may be JSON is nested.
func nesting(b []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// FuzzScan holds the scanner against encoding/json.
func FuzzScan(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const depth = 20
		err := sio.Scan(b, depth)
		if errors.Is(err, sio.ErrDepth) {
			if nesting(b) <= depth {
				t.Fatalf("%q is not nested too deep", b)
			}
			return
		}
		if valid := json.Valid(b); (err == nil) != valid {
			t.Fatalf("%q: error %v, but valid %v", b, err, valid)
		}
	})
}

// FuzzValue holds the readers of a value against encoding/json.
func FuzzValue(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"a":["\ud83d\ude00\ud83d",1e999,{"b":null}],"\u0061":true}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) || !utf8.Valid(b) || nesting(b) > 500 {
			return
		}
		array := append(append([]byte(`["first",`), b...), `,"last"]`...)
		list := (&sio.Packet{Data: array}).Args(nil)
		if len(list) != 3 || list[0].String() != "first" || list[2].String() != "last" {
			t.Fatalf("%q has the elements %v", array, list)
		}
		v := list[1]
		if raw, ok := v.JSON(); !ok || !bytes.Equal(raw, bytes.Trim(b, " \t\r\n")) {
			t.Fatalf("%q is %q, %v", b, raw, ok)
		}
		var want any
		if err := json.Unmarshal(b, &want); err != nil {
			return // a number beyond float64
		}
		got, err := v.Any()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is %#v, %v; want %#v", b, got, err, want)
		}
		s, ok := v.Str()
		if w, is := want.(string); ok != is || ok && s != w {
			t.Fatalf("%q is the text %q, %v; want %q", b, s, ok, w)
		}
		// Encoded again it is the same to encoding/json.
		text, _, err := sio.AppendPacket(nil, sio.Header{Type: sio.Ack}, []any{got, json.RawMessage(b)})
		if err != nil {
			t.Fatal(err)
		}
		var again [2]any
		if err := json.Unmarshal(text[1:], &again); err != nil || !reflect.DeepEqual(again, [2]any{want, want}) {
			t.Fatalf("%q encoded is %q, %v", b, text, err)
		}
	})
}

// slowPlaceholders lists the placeholders of JSON as Node finds them, by
// reading it all.
func slowPlaceholders(x any, nums []float64) []float64 {
	switch x := x.(type) {
	case []any:
		for _, e := range x {
			nums = slowPlaceholders(e, nums)
		}
	case map[string]any:
		if x["_placeholder"] == true {
			if n, ok := x["num"].(float64); ok {
				return append(nums, n)
			}
			return append(nums, -1)
		}
		for _, e := range x {
			nums = slowPlaceholders(e, nums)
		}
	}
	return nums
}

// repeatsKeys says whether an object in valid JSON has a key twice: members
// that encoding/json has overwritten are in the text all the same.
func repeatsKeys(b []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(b))
	var open []map[string]bool // nil for an array
	key := false
	for {
		tok, err := dec.Token()
		if err != nil {
			return false
		}
		switch tok := tok.(type) {
		case json.Delim:
			switch tok {
			case '{':
				open = append(open, map[string]bool{})
				key = true
				continue
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
		case string:
			if key {
				if seen := open[len(open)-1]; seen[tok] {
					return true
				} else {
					seen[tok] = true
				}
				key = false
				continue
			}
		}
		key = len(open) > 0 && open[len(open)-1] != nil
	}
}

func FuzzPlaceholders(f *testing.F) {
	f.Add([]byte(`[{"_placeholder":true,"num":1},{"a":{"_placeholder":true,"num":0}},"_placeholder"]`))
	f.Add([]byte(`{"x":[{"_placeholder":true}],"_placeholder":true,"num":1.0}`))
	f.Add([]byte(`{"_\u0070laceholder" : true , "num":-0, "x":{"_placeholder":false}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x any
		if nesting(b) > 500 || json.Unmarshal(b, &x) != nil || repeatsKeys(b) {
			return
		}
		got, err := sio.Placeholders(b)
		want := slowPlaceholders(x, nil)
		for _, n := range want {
			if n < 0 || n != math.Trunc(n) || n > 1<<31 {
				if err == nil && n < 1<<53 {
					t.Fatalf("%q has the placeholder %v", b, n)
				}
				return
			}
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: %v, %v; want %v", b, got, err, want)
		}
		sum, wantSum := 0, 0 // maps have no order
		for i := range got {
			sum += got[i]
			wantSum += int(want[i])
		}
		if sum != wantSum {
			t.Fatalf("%q: %v, want %v", b, got, want)
		}
	})
}

// slowDecode is a decoder of text written down as the grammar has it, for
// packets without attachments.
func slowDecode(s string) (h sio.Header, data string, ok bool) {
	if s == "" || s[0] < '0' || s[0] > '4' {
		return h, "", false
	}
	h.Type, h.Namespace = sio.Type(s[0]-'0'), "/"
	s = s[1:]
	if strings.HasPrefix(s, "/") {
		h.Namespace, s, _ = strings.Cut(s, ",")
	}
	const space = " \t\n\v\f\r"
	rest := strings.TrimLeft(s, space+"0123456789")
	if id := s[:len(s)-len(rest)]; id != "" {
		h.HasID = true
		digits := strings.Trim(id, space)
		if digits != "" {
			var n json.Number
			if strings.ContainsAny(digits, space) || len(strings.TrimLeft(digits, "0")) > 15 {
				return h, "unsure", false
			}
			n = json.Number(digits)
			i, err := n.Int64()
			if err != nil {
				return h, "", false
			}
			h.ID = uint64(i)
		}
	}
	if rest == "" {
		return h, "", true
	}
	var x any
	if !json.Valid([]byte(rest)) {
		return h, "", false
	}
	if err := json.Unmarshal([]byte(rest), &x); err != nil {
		return h, "unsure", false // a number beyond float64
	}
	switch x := x.(type) {
	case map[string]any:
		ok = h.Type == sio.Connect || h.Type == sio.ConnectError
	case string:
		ok = h.Type == sio.ConnectError
	case []any:
		ok = h.Type == sio.Ack
		if h.Type == sio.Event && len(x) > 0 {
			switch name := x[0].(type) {
			case string:
				ok = !sio.IsReserved(name)
			case float64:
				ok = true
			}
		}
	}
	return h, strings.TrimRight(rest, " \t\r\n"), ok
}

func FuzzText(f *testing.F) {
	for _, s := range []string{
		`0`, `0{"token":"1"}`, `0/admin`, `1/a,`, `2["a",1]`, `2/admin,12["a"]`, "2 5[\"a\"]", `312[]`, `4"x"`,
		`2["\u0063onnect"]`, `2[1]`, `2[{}]`, `2[`, `0/a,b,{}`, `20["a"] `, `2/`, `2/,`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if nesting([]byte(s)) > 500 || s != "" && (s[0] == '5' || s[0] == '6') {
			return
		}
		want, data, valid := slowDecode(s)
		if data == "unsure" {
			return
		}
		var d sio.Decoder
		p, ok, err := d.Text([]byte(s))
		if ok != valid || (err == nil) != valid {
			t.Fatalf("%q: complete %v, error %v; want valid %v", s, ok, err, valid)
		}
		if !valid {
			return
		}
		got := sio.Header{Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}
		if got != want || string(p.Data) != data || (p.Data == nil) != (data == "") {
			t.Fatalf("%q is %v %q, want %v %q", s, got, p.Data, want, data)
		}
		p.Args(nil)
	})
}

// FuzzConnection feeds a connection with messages: each is a byte for its kind
// and length, and its bytes. Whatever it accepts has to survive being encoded.
func FuzzConnection(f *testing.F) {
	message := func(binary bool, s string) []byte {
		n := byte(len(s) << 1)
		if binary {
			n |= 1
		}
		return append([]byte{n}, s...)
	}
	const p0 = `{"_placeholder":true,"num":0}`
	f.Add(bytes.Join([][]byte{message(false, `51-["a",`+p0+`]`), message(true, "data"), message(false, `2["b",1]`)}, nil))
	f.Add(bytes.Join([][]byte{message(false, `62-/n,7[`+p0+`,`+p0+`]`), message(true, "one"), message(true, "")}, nil))
	f.Add(bytes.Join([][]byte{message(false, `51-["a"]`), message(false, `2["b",1]`)}, nil))
	f.Fuzz(func(t *testing.T, stream []byte) {
		limits := &sio.Limits{MaxAttachments: 3, MaxBytes: 150, MaxDepth: 10}
		d := sio.NewDecoder(limits)
		for len(stream) > 0 {
			n := min(int(stream[0]>>1), len(stream)-1)
			m := bytes.Clone(stream[1 : 1+n])
			isBinary := stream[0]&1 != 0
			stream = stream[1+n:]
			var p sio.Packet
			var ok bool
			var err error
			if isBinary {
				p, ok, err = d.Binary(m)
			} else if utf8.Valid(m) {
				p, ok, err = d.Text(m)
			} else {
				continue
			}
			if err != nil {
				return
			}
			if ok {
				again(t, p, limits)
			}
		}
	})
}

// again encodes what was decoded, and decodes it once more.
func again(t *testing.T, p sio.Packet, limits *sio.Limits) {
	size := len(p.Data)
	for _, a := range p.Attachments {
		size += len(a)
	}
	if len(p.Attachments) > 0 && (size > limits.MaxBytes || len(p.Attachments) > limits.MaxAttachments) {
		t.Fatalf("%d attachments, %d bytes", len(p.Attachments), size)
	}
	if p.Type != sio.Event && p.Type != sio.Ack || p.Data == nil {
		return
	}
	values := p.Args(nil)
	var list []any
	for _, v := range values {
		list = append(list, v)
		if _, err := v.Any(); err != nil {
			t.Fatal(err)
		}
		var x any
		if err := v.Decode(&x); err != nil {
			t.Fatal(err)
		}
		if _, err := v.MarshalJSON(); err != nil && !errors.Is(err, sio.ErrTooLarge) {
			t.Fatal(err)
		}
	}
	text, attachments, err := sio.AppendPacket(nil, sio.Header{Type: p.Type, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID}, list)
	if err != nil {
		t.Fatalf("%q: %v", p.Data, err)
	}
	d := sio.NewDecoder(&sio.Limits{MaxAttachments: 1000, MaxBytes: 1 << 20})
	q, ok, err := d.Text(text)
	for _, a := range attachments {
		if ok || err != nil {
			t.Fatalf("%q: complete %v, error %v", text, ok, err)
		}
		q, ok, err = d.Binary(a)
	}
	if !ok || err != nil {
		t.Fatalf("%q: complete %v, error %v", text, ok, err)
	}
	for i, v := range q.Args(nil) {
		want, _ := values[i].Any()
		if got, err := v.Any(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: argument %d is %v, %v; want %v", p.Data, i, got, err, want)
		}
	}
}

// FuzzEncode makes arguments of bytes and holds what is written against
// encoding/json, with attachments as base64.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("\x05\x03\x01\x02\x08\x04abcd\x06\x02\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []any
		for len(b) > 0 && len(list) < 20 {
			var x any
			x, b = build(b, 0)
			list = append(list, x)
		}
		p, err := sio.EncodePayload(list)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		var w []any
		if err := json.Unmarshal(want, &w); err != nil {
			t.Fatal(err)
		}
		for i, v := range p.Args() {
			raw, err := v.MarshalJSON()
			if errors.Is(err, sio.ErrTooLarge) {
				return
			}
			var got any
			if err != nil || json.Unmarshal(raw, &got) != nil {
				t.Fatalf("%q, %v", raw, err)
			}
			if !reflect.DeepEqual(got, w[i]) {
				t.Fatalf("argument %d is %v, want %v", i, got, w[i])
			}
		}
	})
}

// build makes a value of the first bytes of b.
func build(b []byte, depth int) (any, []byte) {
	if len(b) < 2 {
		return nil, nil
	}
	kind, n := b[0]%9, int(b[1]%5)
	b = b[2:]
	take := func(n int) []byte {
		n = min(n, len(b))
		taken := b[:n]
		b = b[n:]
		return taken
	}
	switch kind {
	case 0:
		return nil, b
	case 1:
		return n%2 == 0, b
	case 2:
		return string(take(n * 4)), b
	case 3:
		return sio.Binary(bytes.Clone(append([]byte{}, take(n)...))), b
	case 4:
		var room [8]byte
		copy(room[:], take(8))
		x := math.Float64frombits(binary.LittleEndian.Uint64(room[:]))
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return 0, b
		}
		return x, b
	case 5:
		return int64(n) - 2, b
	case 6:
		return append([]byte{}, take(n)...), b
	}
	list, m := []any{}, map[string]any{}
	for range n {
		if depth > 5 {
			break
		}
		key := strings.ToValidUTF8(string(take(2)), "")
		var x any
		x, b = build(b, depth+1)
		list = append(list, x)
		m[key] = x
	}
	if kind == 7 {
		return list, b
	}
	return m, b
}
