package jsontext_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/jsontext"
)

func TestScan(t *testing.T) {
	for _, text := range []string{
		``, ` `, `null`, `nul`, `1`, `-`, `01`, `1.5e-3`, `"a"`, `"a`, `"\u12G4"`, `[]`, `[1,]`, `[1 2]`, `{"a":[{}]}`, `{"a"}`, `{"a":1,}`, `[}`, `{]`,
		" [ 1 , { \"a\" : null } ] ",
	} {
		end, err := jsontext.Scan([]byte(text), 0, 10)
		got := err == nil && jsontext.SkipSpace([]byte(text), end) == len(text)
		if want := json.Valid([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// TestNext finds where each value ends.
func TestNext(t *testing.T) {
	for _, text := range []string{`1`, `-1.5e3`, `true`, `"a\"]"`, `[]`, `[[1,"]"],{"a":"}"}]`, `{"a":{"b":[]}}`} {
		for _, behind := range []string{"", ",1", "]", "}", " "} {
			if end := jsontext.Next([]byte(text+behind), 0); end != len(text) {
				t.Errorf("%s ends at %d, want %d", text+behind, end, len(text))
			}
		}
	}
}

func TestScanDepth(t *testing.T) {
	for _, open := range []string{"[", `{"a":`} {
		shut := map[string]string{"[": "]", `{"a":`: "}"}[open]
		nested := func(n int) []byte { return []byte(strings.Repeat(open, n) + "1" + strings.Repeat(shut, n)) }
		if end, err := jsontext.Scan(nested(jsontext.MaxDepth), 0, jsontext.MaxDepth); err != nil || end != len(nested(jsontext.MaxDepth)) {
			t.Errorf("the greatest depth: %d, %v", end, err)
		}
		if _, err := jsontext.Scan(nested(jsontext.MaxDepth+1), 0, jsontext.MaxDepth); err != jsontext.ErrDepth {
			t.Errorf("beyond it: %v", err)
		}
	}
}
