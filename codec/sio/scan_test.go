package sio_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// texts are JSON and what nearly is.
var texts = []string{
	``, ` `, `null`, `true`, `false`, `nul`, `nulll`, `True`, `n`, `undefined`, `NaN`,
	`0`, `-0`, `-`, `01`, `-01`, `1.`, `.1`, `1.0`, `1e`, `1e+`, `1e5`, `1E-5`, `1e5.0`, `0x1`, `+1`, `1_0`, `12345678901234567890`, `--1`,
	`""`, `"`, `"a`, `"a"b`, `"\"`, `"\""`, `"\u"`, `"\u12"`, `"\u12G4"`, `"\u12aF"`, `"\ud800"`, `"\x"`, `"\b\f\n\r\t\/\\"`,
	"\"\n\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"é€😀\"", "\"12345678\x01\"", `"1234567\u0000"`, `"12345678\"`, "\"\xff\"",
	`[]`, `[ ]`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1,2]`, "[ 1 ,\t2\r\n]", `[1}`, `[[]]`, `[[]`, `[]]`, "[1\v]", "\ufeff[]",
	`{}`, `{ }`, `{`, `}`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{,}`, `{a:1}`, `{'a':1}`, `{"a":1 "b":2}`, `{"a":1,"b":2}`, `{"a" : { "b" : [ ] } }`, `{"a":1]`, `{1:2}`, `{"a"::1}`, `{"a":1,"a":2}`, `{"":""}`,
	`[{"a":[{"b":[]}]}]`, `[{]}`, `1,2`, `{} {}`, `[] x`, `/**/1`, `[1]//`,
}

func TestScan(t *testing.T) {
	for _, text := range texts {
		want := json.Valid([]byte(text))
		if err := sio.Scan([]byte(text), 100); (err == nil) != want {
			t.Errorf("%q: error %v, want valid %v", text, err, want)
		}
	}
}

func TestScanDepth(t *testing.T) {
	tests := []struct {
		name, text string
		depth      int
		want       error
	}{
		{"a value", `1`, 0, nil},
		{"an array at 0", `[]`, 0, sio.ErrDepth},
		{"an object at 0", `{}`, 0, sio.ErrDepth},
		{"one level", `[1,2]`, 1, nil},
		{"siblings", `[[],[],{}]`, 2, nil},
		{"two levels", `[[]]`, 1, sio.ErrDepth},
		{"an object in an array", `[{}]`, 1, sio.ErrDepth},
		{"an array in an object", `{"a":[]}`, 1, sio.ErrDepth},
		{"a million brackets", strings.Repeat("[", 1_000_000), 1024, sio.ErrDepth},
		{"a million objects", strings.Repeat(`{"a":`, 1_000_000), 1024, sio.ErrDepth},
		{"mixed", strings.Repeat(`[{"a":`, 512) + "1" + strings.Repeat("}]", 512), 1024, nil},
		{"mixed and closed wrongly", strings.Repeat(`[{"a":`, 512) + "1" + strings.Repeat("]}", 512), 1024, sio.ErrPayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := sio.Scan([]byte(tt.text), tt.depth); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}
