package jsontext_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
)

func TestAppendNumber(t *testing.T) {
	for want, f := range map[string]float64{
		"0": math.Copysign(0, -1), "1": 1, "1.5": 1.5, "1e+21": 1e21, "100000000000000000000": 1e20,
		"0.000001": 1e-6, "1e-7": 1e-7, "-1e-7": -1e-7, "1e-10": 1e-10, "null": math.NaN(),
	} {
		if got := string(jsontext.AppendNumber(nil, f, 64)); got != want {
			t.Errorf("%v is %q, want %q", f, got, want)
		}
	}
	if got := string(jsontext.AppendNumber([]byte("x"), math.Inf(-1), 64)); got != "xnull" {
		t.Errorf("infinity is %q", got)
	}
}

// FuzzText holds writing against encoding/json, and reading against writing.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\b\f\n\r\t\x00\x1f", "é € 日本 😀 \u2028", "\xff\xfe", strings.Repeat("a", 30) + "\"", `\ud83d\ude00`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		quoted := jsontext.AppendQuoted([]byte("x"), s)[1:]
		var plain string
		if err := json.Unmarshal(quoted, &plain); err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if want := strings.ToValidUTF8(s, "\uFFFD"); utf8.ValidString(s) && plain != want {
			t.Fatalf("%q was read as %q", quoted, plain)
		}
		if end := jsontext.SkipString(quoted, 1); end != len(quoted) {
			t.Fatalf("%q ends at %d", quoted, end)
		}
		inside := quoted[1 : len(quoted)-1]
		if got := string(jsontext.Unquote(nil, inside)); got != plain || !jsontext.Is(inside, plain) {
			t.Fatalf("%q is %q, want %q", quoted, got, plain)
		}
		// What is given may be a string already, well formed or not.
		given := []byte("\"" + s + "\"")
		end := jsontext.SkipString(given, 1)
		// It ends at the first quote, which need not be ours.
		if ok := end > 0 && json.Valid(given[:end]); end > 0 && !ok {
			t.Fatalf("%q was taken for a string", given[:end])
		}
		if end < 0 && utf8.ValidString(s) && json.Valid(given) {
			t.Fatalf("%q was not taken for a string", given)
		}
		if end > 0 {
			var want string
			if err := json.Unmarshal(given[:end], &want); err != nil {
				t.Fatal(err)
			}
			if got := string(jsontext.Unquote(nil, given[1:end-1])); utf8.ValidString(s) && got != want {
				t.Fatalf("%q is %q, want %q", given[:end], got, want)
			}
		}
	})
}
