package sio_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// feed hands chunks to a decoder: strings as text, byte slices as binary.
func feed(d *sio.Decoder, chunks ...any) (p sio.Packet, ok bool, err error) {
	for _, c := range chunks {
		switch c := c.(type) {
		case string:
			p, ok, err = d.Text([]byte(c))
		case []byte:
			p, ok, err = d.Binary(c)
		}
		if err != nil {
			break
		}
	}
	return p, ok, err
}

// args are the arguments as they are written, binary ones in hexadecimal.
func args(p sio.Packet) string {
	var parts []string
	for _, v := range p.Args(nil) {
		if b, ok := v.Bytes(); ok {
			parts = append(parts, fmt.Sprintf("<%x>", b))
			continue
		}
		text, ok := v.JSON()
		if !ok {
			text, _ = v.MarshalJSON()
		}
		parts = append(parts, string(text))
	}
	return strings.Join(parts, " ")
}

func TestDecode(t *testing.T) {
	const ph = `{"_placeholder":true,"num":0}`
	bin := []byte{0xab}
	tests := []struct {
		name   string
		chunks []any
		want   string // type namespace id args
		err    error
	}{
		{"ack id 0", []any{`20["a"]`}, `EVENT / 0 "a"`, nil},
		{"empty ack", []any{`312[]`}, `ACK / 12 `, nil},
		{"largest id", []any{`218446744073709549568["a"]`}, `EVENT / 18446744073709549568 "a"`, nil},
		{"id beyond 64 bits", []any{`218446744073709551616["a"]`}, "", sio.ErrID},
		{"id that rounds beyond 64 bits", []any{`218446744073709551615["a"]`}, "", sio.ErrID},
		{"id of many digits", []any{`2` + strings.Repeat("9", 400) + `["a"]`}, "", sio.ErrID},
		{"id above 2^53 is rounded", []any{`29007199254740993["a"]`}, `EVENT / 9007199254740992 "a"`, nil},
		{"space is an id of 0", []any{`2 ["a"]`}, `EVENT / 0 "a"`, nil},
		{"space within an id", []any{`21 2["a"]`}, "", sio.ErrID},
		{"namespace without comma", []any{`0/admin`}, `CONNECT /admin - `, nil},
		{"namespace with a query", []any{`0/admin?a=b,`}, `CONNECT /admin?a=b - `, nil},
		{"namespace of one slash", []any{`2/,["a"]`}, `EVENT / - "a"`, nil},
		{"namespace without slash", []any{`2admin,["a"]`}, "", sio.ErrPayload},
		{"no payload", []any{`2`}, `EVENT / - `, nil},
		{"no payload with an attachment", []any{`51-`, bin}, `EVENT / - `, nil},
		{"numeric name", []any{`2[-1,"a"]`}, `EVENT / - -1 "a"`, nil},
		{"space everywhere", []any{"2[ \"a\" ,\t{ \"b\" : [ ] } ] \r\n"}, `EVENT / - "a" { "b" : [ ] }`, nil},
		{"numbers stay as they are", []any{`2["a",1.0,12345678901234567890,1e400]`}, `EVENT / - "a" 1.0 12345678901234567890 1e400`, nil},
		{"duplicate and odd keys", []any{`2["a",{"__proto__":1,"x":2,"x":3}]`}, `EVENT / - "a" {"__proto__":1,"x":2,"x":3}`, nil},
		{"lone surrogate", []any{`2["a","\ud800"]`}, `EVENT / - "a" "\ud800"`, nil},
		{"a placeholder without attachments is an object", []any{`2["a",` + ph + `]`}, `EVENT / - "a" ` + ph, nil},
		{"binary", []any{`51-["a",` + ph + `]`, bin}, `EVENT / - "a" <ab>`, nil},
		{"nested binary", []any{`61-7[{"x":[` + ph + `]}]`, bin}, `ACK / 7 {"x":["qw=="]}`, nil},
		{"empty binary", []any{`51-["a",` + ph + `]`, []byte{}}, `EVENT / - "a" <>`, nil},
		{"more members beside a placeholder", []any{`51-["a",{"x":1,"num":0,"_placeholder":true}]`, bin}, `EVENT / - "a" <ab>`, nil},
		{"escaped keys", []any{`51-["a",{"_\u0070laceholder":true,"\u006eum":0}]`, bin}, `EVENT / - "a" <ab>`, nil},
		{"the last of duplicate keys", []any{`51-["a",{"_placeholder":true,"num":9,"num":0}]`, bin}, `EVENT / - "a" <ab>`, nil},
		{"a placeholder that is not true", []any{`51-["a",{"_placeholder":false,"num":9}]`, bin}, `EVENT / - "a" {"_placeholder":false,"num":9}`, nil},
		{"a placeholder in a placeholder", []any{`51-["a",{"_placeholder":true,"x":{"_placeholder":true,"num":9},"num":0}]`, bin}, `EVENT / - "a" <ab>`, nil},
		{"a whole number with a fraction", []any{`51-["a",{"_placeholder":true,"num":0.0}]`, bin}, `EVENT / - "a" <ab>`, nil},

		{"escaped reserved name", []any{`2["\u0063onnect"]`}, "", sio.ErrReserved},
		{"long escaped reserved name", []any{`2["\u0072\u0065\u006d\u006f\u0076\u0065\u004c\u0069\u0073\u0074\u0065\u006e\u0065\u0072"]`}, "", sio.ErrReserved},
		{"malformed count", []any{`5999999-[`}, "", sio.ErrTooMany},
		{"huge count", []any{`5` + strings.Repeat("9", 400) + `-["a"]`}, "", sio.ErrTooMany},
		{"count without end", []any{`51`}, "", sio.ErrAttachments},
		{"count 1e0", []any{`51e0-["a"]`}, "", sio.ErrAttachments},
		{"count with a sign", []any{`5+1-["a"]`}, "", sio.ErrAttachments},
		{"binary without header", []any{bin}, "", sio.ErrUnexpectedBinary},
		{"binary after the last attachment", []any{`51-["a"]`, bin, bin}, "", sio.ErrUnexpectedBinary},
		{"text in place of an attachment", []any{`52-["a"]`, bin, `2["b"]`}, "", sio.ErrExpectedBinary},
		{"placeholder: none of the numbers", []any{`51-["a",{"_placeholder":true}]`}, "", sio.ErrPlaceholder},
		{"placeholder: fraction", []any{`51-["a",{"_placeholder":true,"num":0.5}]`}, "", sio.ErrPlaceholder},
		{"placeholder: negative", []any{`51-["a",{"_placeholder":true,"num":-1}]`}, "", sio.ErrPlaceholder},
		{"placeholder: too large", []any{`51-["a",{"_placeholder":true,"num":1}]`}, "", sio.ErrPlaceholder},
		{"placeholder: huge", []any{`51-["a",{"_placeholder":true,"num":99999999999999999999}]`}, "", sio.ErrPlaceholder},
		{"placeholder: infinite", []any{`51-["a",{"_placeholder":true,"num":1e999}]`}, "", sio.ErrPlaceholder},
		{"placeholder: string", []any{`51-["a",{"_placeholder":true,"num":"length"}]`}, "", sio.ErrPlaceholder},
		{"placeholder: prototype", []any{`51-["a",{"_placeholder":true,"num":"__proto__"}]`}, "", sio.ErrPlaceholder},
		{"placeholder: object", []any{`51-["a",{"_placeholder":true,"num":{}}]`}, "", sio.ErrPlaceholder},
		{"placeholder as the name", []any{`51-[` + ph + `]`}, "", sio.ErrPayload},
		{"placeholder nested deep", []any{`51-["a",` + strings.Repeat("[", 10_000) + ph + strings.Repeat("]", 10_000) + `]`}, "", sio.ErrDepth},
		{"payload of a disconnect", []any{`1[]`}, "", sio.ErrPayload},
		{"connect with text behind", []any{`0{}x`}, "", sio.ErrPayload},
		{"connect error with a number", []any{`41`}, `CONNECT_ERROR / 1 `, nil},
		{"empty", []any{``}, "", sio.ErrType},
		{"type 7", []any{`7`}, "", sio.ErrType},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d sio.Decoder
			p, ok, err := feed(&d, tt.chunks...)
			if tt.err != nil {
				if !errors.Is(err, tt.err) {
					t.Fatalf("error %v, want %v", err, tt.err)
				}
				return
			}
			if err != nil || !ok {
				t.Fatalf("complete %v, error %v", ok, err)
			}
			id := "-"
			if p.HasID {
				id = fmt.Sprint(p.ID)
			}
			list := ""
			if p.Type == sio.Event || p.Type == sio.Ack {
				list = args(p)
			}
			if got := fmt.Sprintf("%v %s %s %s", p.Type, p.Namespace, id, list); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	deep := func(n int) string { return `2["a",` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `]` }
	tests := []struct {
		name   string
		limits *sio.Limits
		chunks []any
		err    error
	}{
		{"ten attachments", nil, []any{`510-["a"]`}, nil},
		{"eleven attachments", nil, []any{`511-["a"]`}, sio.ErrTooMany},
		{"eleven of twenty attachments", &sio.Limits{MaxAttachments: 20}, []any{`511-["a"]`}, nil},
		{"no attachments", &sio.Limits{MaxAttachments: -1}, []any{`51-["a"]`}, sio.ErrTooMany},
		{"bytes that fit", &sio.Limits{MaxBytes: 10}, []any{`51-["a"]`, make([]byte, 2)}, nil},
		{"one byte more", &sio.Limits{MaxBytes: 10}, []any{`51-["a"]`, make([]byte, 3)}, sio.ErrTooLarge},
		{"one byte more in the second", &sio.Limits{MaxBytes: 10}, []any{`52-["a"]`, make([]byte, 1), make([]byte, 2)}, sio.ErrTooLarge},
		{"header above the limit", &sio.Limits{MaxBytes: 7}, []any{`51-["a"]`}, sio.ErrTooLarge},
		{"default bytes", nil, []any{`52-["a"]`, make([]byte, 600_000), make([]byte, 400_000)}, sio.ErrTooLarge},
		{"text alone is not kept", &sio.Limits{MaxBytes: 7}, []any{`2["a long name"]`}, nil},
		{"default depth", nil, []any{deep(512)}, nil},
		{"beyond the default depth", nil, []any{deep(513)}, sio.ErrDepth},
		{"depth 3", &sio.Limits{MaxDepth: 3}, []any{deep(3)}, nil},
		{"beyond depth 3", &sio.Limits{MaxDepth: 3}, []any{deep(4)}, sio.ErrDepth},
		{"objects count", &sio.Limits{MaxDepth: 3}, []any{`2["a",{"x":{"y":{}}}]`}, sio.ErrDepth},
		{"greatest depth", &sio.Limits{MaxDepth: 1 << 30}, []any{deep(1024)}, nil},
		{"beyond the greatest depth", &sio.Limits{MaxDepth: 1 << 30}, []any{deep(1025)}, sio.ErrDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := sio.NewDecoder(tt.limits)
			if _, _, err := feed(&d, tt.chunks...); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
		})
	}
}

func TestDecoderAfterAnError(t *testing.T) {
	var d sio.Decoder
	if _, _, err := feed(&d, `51-["a"]`, `2["b"]`); !errors.Is(err, sio.ErrExpectedBinary) || d.Awaiting() {
		t.Errorf("error %v, awaiting %v", err, d.Awaiting())
	}
	d = sio.NewDecoder(&sio.Limits{MaxBytes: 10})
	if _, _, err := feed(&d, `51-["a"]`, make([]byte, 9)); !errors.Is(err, sio.ErrTooLarge) || d.Awaiting() {
		t.Errorf("error %v, awaiting %v", err, d.Awaiting())
	}
	if _, ok, err := feed(&d, `51-["a"]`); ok || err != nil || !d.Awaiting() {
		t.Errorf("complete %v, error %v, awaiting %v", ok, err, d.Awaiting())
	}
}

func TestPacketMemory(t *testing.T) {
	var d sio.Decoder
	text := []byte(`2/n,["a","b"]`)
	p, _, err := d.Text(text)
	if err != nil || &p.Data[0] != &text[4] {
		t.Errorf("Data does not alias the text: %v", err)
	}
	if cap(p.Data) != len(p.Data) {
		t.Error("an append to Data would write into the text")
	}
	header, data := []byte(`51-/n,["a",{"_placeholder":true,"num":0}]`), []byte("data")
	if _, _, err := d.Text(header); err != nil {
		t.Fatal(err)
	}
	clear(header)
	p, ok, err := d.Binary(data)
	clear(data)
	if got := args(p); !ok || err != nil || p.Namespace != "/n" || got != `"a" <64617461>` {
		t.Errorf("%v, %v, %s %s", ok, err, p.Namespace, got)
	}
}

func TestIdleDecoderIsSmall(t *testing.T) {
	if size := reflect.TypeFor[sio.Decoder]().Size(); size > 64 {
		t.Errorf("a decoder takes %d bytes", size)
	}
}

// TestAnnouncementCostsNothing: what a count announces is not memory yet.
func TestAnnouncementCostsNothing(t *testing.T) {
	limits := &sio.Limits{MaxAttachments: 1 << 20, MaxBytes: 1 << 30}
	text := []byte(`51000000-["a"]`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d := sio.NewDecoder(limits)
	if _, _, err := d.Text(text); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<10 {
		t.Errorf("a million announced attachments took %d bytes", n)
	}
	runtime.KeepAlive(&d)
}

func TestHostileNamesAreNotKept(t *testing.T) {
	var d sio.Decoder
	for i := range 3 {
		name := "/" + strings.Repeat(string(rune('a'+i)), 1000)
		p, _, err := feed(&d, `0`+name)
		if err != nil || p.Namespace != name {
			t.Fatalf("%.10s, %v", p.Namespace, err)
		}
	}
	text := []byte(`0/` + strings.Repeat("a", 1000))
	if n := testing.AllocsPerRun(10, func() { _, _, _ = d.Text(text) }); n != 1 {
		t.Errorf("%v allocations: a long name was kept", n)
	}
}

func TestIsReserved(t *testing.T) {
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if !sio.IsReserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"", "connection", "error", "Connect", "new_namespace"} {
		if sio.IsReserved(name) {
			t.Errorf("%s is reserved", name)
		}
	}
	if s := sio.Type(7).String() + sio.BinaryAck.String(); s != "unknownBINARY_ACK" {
		t.Error(s)
	}
}

func TestArgsAppends(t *testing.T) {
	p := sio.Packet{Type: sio.Event, Data: []byte(`["a",1]`)}
	list := p.Args([]sio.Value{sio.RawValue([]byte("true"))})
	if len(list) != 3 || list[0].String() != "true" || list[2].String() != "1" {
		t.Errorf("%v", list)
	}
	if list := (&sio.Packet{}).Args(nil); len(list) != 0 {
		t.Errorf("%v", list)
	}
	if !bytes.Equal(p.Data, []byte(`["a",1]`)) {
		t.Errorf("%s", p.Data)
	}
}
