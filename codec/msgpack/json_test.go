package msgpack_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/msgpack"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestToJSON(t *testing.T) {
	tests := []struct {
		name        string
		hex         string
		want        string
		attachments string // hex, joined by spaces
	}{
		{"nil", "c0", `null`, ""},
		{"undefined alone", "d40000", `null`, ""},
		{"undefined in an array", "92 01 d40000", `[1,null]`, ""},
		{"undefined in a map", "83 a161 d40000 a162 02 a163 d40000", `{"b":2}`, ""},
		{"a map of nothing else", "81 a161 d40000", `{}`, ""},
		{"bools", "92 c2 c3", `[false,true]`, ""},
		{"negative numbers", "94 ff e0 d0df d3ffffffff7fffffff", `[-1,-32,-33,-2147483649]`, ""},
		{"positive in a signed form", "92 d001 d200000001", `[1,1]`, ""},
		{"64 bits", "92 cfffffffffffffffff d38000000000000000", `[18446744073709551615,-9223372036854775808]`, ""},
		{"floats", "95 cb3ff8000000000000 ca3fc00000 cb8000000000000000 cb444b1ae4d6e2ef50 cb3e112e0be826d695", `[1.5,1.5,0,1e+21,1e-9]`, ""},
		{"not a number, infinite", "93 cb7ff8000000000000 cb7ff0000000000000 cbfff0000000000000", `[null,null,null]`, ""},
		{"text", "a9 c3a9e282acf09f9880", `"é€😀"`, ""},
		{"text to escape", "aa 22 5c 0a 00 1f 7f 3c 26 2f 0d", `"\"\\\n\u0000\u001f` + "\x7f" + `<&/\r"`, ""},
		{"text that is not UTF-8", "a4 61 ff c3 62", "\"a\uFFFD\uFFFDb\"", ""},
		{"a date, three forms", "93 d7000000019aaf70da7b d7ff1d5353006922ac40 d6ff6922ac40", `["2025-11-23T06:40:00.123Z","2025-11-23T06:40:00.123Z","2025-11-23T06:40:00.000Z"]`, ""},
		{"a date before 1970", "92 c70cff1dcd6500fffffffffffffffe d700fffffffffffffa24", `["1969-12-31T23:59:58.500Z","1969-12-31T23:59:58.500Z"]`, ""},
		{"no date of JavaScript", "92 d7007fffffffffffffff c70cff000000000000ffffffffffff", `[null,null]`, ""},
		{"binary data", "92 c4020102 c400", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "0102 "},
		{"an ArrayBuffer, not a date", "92 c7080000112233445566aa c7010004", `[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "00112233445566aa 04"},
		{"another extension", "d505aabb", `[5,{"_placeholder":true,"num":0}]`, "aabb"},
		{"a timestamp that is none", "d5ffaabb", `[-1,{"_placeholder":true,"num":0}]`, "aabb"},
		{"keys that are numbers", "83 01 01 ff 02 cb3ff8000000000000 03", `{"1":1,"-1":2,"1.5":3}`, ""},
		{"a key to escape", "81 a1 22 01", `{"\"":1}`, ""},
		{"equal keys, __proto__", "83 a161 01 a95f5f70726f746f5f5f 02 a161 03", `{"a":1,"__proto__":2,"a":3}`, ""},
		{"like a placeholder, alone", "82 ac5f706c616365686f6c646572 c3 a36e756d 00", `{"_placeholder":true,"num":0}`, ""},
		{"empty", "92 90 80", `[[],{}]`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, attachments, err := msgpack.ToJSON([]byte("x"), unhex(t, tt.hex), msgpack.Limits{})
			if err != nil || string(got) != "x"+tt.want {
				t.Fatalf("got %s, %v; want %s", got, err, tt.want)
			}
			var all []string
			for _, a := range attachments {
				all = append(all, hex.EncodeToString(a))
			}
			if s := strings.Join(all, " "); s != tt.attachments {
				t.Errorf("attachments %q, want %q", s, tt.attachments)
			}
		})
	}
}

func TestFromJSON(t *testing.T) {
	a := [][]byte{{1}, {2, 3}}
	tests := []struct {
		name        string
		json        string
		attachments [][]byte
		want        string
	}{
		{"space everywhere", " [ 1 , { \"a\" : [ ] } , { } ]\r\n\t", nil, "93 01 81a16190 80"},
		{"literals", `[null,true,false]`, nil, "93c0c3c2"},
		{"whole numbers in other forms", `[1.0,1e2,-0,-0.0,100E-2]`, nil, "95 01 64 00 00 01"},
		{"64 bits", `[9007199254740993,18446744073709551615,-9223372036854775808]`, nil, "93 cf0020000000000001 cfffffffffffffffff d38000000000000000"},
		{"beyond 64 bits", `[18446744073709551616,1e300,-1e300]`, nil, "93 cb43f0000000000000 cb7e37e43c8800759c cbfe37e43c8800759c"},
		{"beyond a double", `[1e999,-1e999,1e-999]`, nil, "93 cb7ff0000000000000 cbfff0000000000000 00"},
		{"fractions", `[0.1,-1.5]`, nil, "92 cb3fb999999999999a cbbff8000000000000"},
		{"escapes", `"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"`, nil, "ae 225c2f080c0a0d09 c3a9 f09f9880"},
		{"lone surrogates", `["\ud800","a\udc00b","\ud800\ud83d\ude00","\ud800\u0041"]`, nil, "94 a3efbfbd a561efbfbd62 a7efbfbdf09f9880 a4efbfbd41"},
		{"bytes that are not UTF-8", "\"\xff\"", nil, "a3efbfbd"},
		{"a key with escapes", `{"\u0061":1}`, nil, "81a16101"},
		{"equal keys", `{"a":1,"a":2}`, nil, "82a16101a16102"},
		{"no attachments, no placeholders", `{"_placeholder":true,"num":0}`, nil, "82ac5f706c616365686f6c646572c3a36e756d00"},
		{"prototypes are left out", `[{"__proto__":{"__proto__":[1]},"a":1},{"\u005f_pr\u006fto__" : {}},{"b":2,"__proto__":0},{"_":1,"__proto":1,"__proto__x":{}}]`, nil,
			"94 81a16101 80 81a16202 83a15f01a75f5f70726f746f01aa5f5f70726f746f5f5f7880"},
		{"a prototype that is binary", `[{"__proto__":{"_placeholder":true,"num":0},"x":{"_placeholder":true,"num":1}}]`, a, "91 81a178 c4020203"},
		{"attachments", `[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, a, "93 c4020203 c40101 c4020203"},
		{"a placeholder with more in it", `[{"x":{"a":["}"]},"num":1,"_placeholder":true,"y":[[],{}]},[5]]`, a, "92 c4020203 9105"},
		{"a placeholder in escapes", `{"_pl\u0061ceholder":true,"n\u0075m":1.0}`, a, "c4020203"},
		{"a placeholder in a placeholder", `[{"_placeholder":true,"num":0,"a":{"_placeholder":true,"num":1}},{"b":[]}]`, a, "92 c40101 81a16290"},
		{"a placeholder in an object", `{"k":{"_placeholder":true,"num":0},"l":[1]}`, a, "82 a16b c40101 a16c 9101"},
		{"false is none", `{"_placeholder":false,"num":0}`, a, "82ac5f706c616365686f6c646572c2a36e756d00"},
		{"the last of equal keys counts", `[{"_placeholder":true,"num":7,"num":1},{"_placeholder":true,"_placeholder":1}]`, a, "92 c4020203 82ac5f706c616365686f6c646572c3ac5f706c616365686f6c64657201"},
		{"16 elements", `[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]`, nil, "dc0010 00000000000000000000000000000000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := msgpack.FromJSON([]byte("x"), msgpack.Notepack2, []byte(tt.json), tt.attachments)
			if want := append([]byte("x"), unhex(t, tt.want)...); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("got %x, %v; want %x", got, err, want)
			}
		})
	}
}

func TestFromJSONDialects(t *testing.T) {
	const in = `[9007199254740991,9007199254740992,-9007199254740991,-9007199254740992,1e17]`
	for _, d := range dialects {
		want := "95 cf001fffffffffffff cf0020000000000000 d3ffe0000000000001 d3ffe0000000000000 cf016345785d8a0000"
		if d.dialect == msgpack.MsgpackJS {
			want = "95 cf001fffffffffffff cb4340000000000000 d3ffe0000000000001 cbc340000000000000 cb4376345785d8a000"
		}
		if got, err := msgpack.FromJSON(nil, d.dialect, []byte(in), nil); err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s: got %x, %v; want %s", d.name, got, err, want)
		}
	}
}

func TestFromJSONErrors(t *testing.T) {
	deep := strings.Repeat("[", 1025) + strings.Repeat("]", 1025)
	tests := []struct {
		name string
		json string
		want error
	}{
		{"nothing", "", msgpack.ErrJSON},
		{"space", " ", msgpack.ErrJSON},
		{"two values", "1 2", msgpack.ErrJSON},
		{"an open array", "[1", msgpack.ErrJSON},
		{"an open array after a comma", "[1,", msgpack.ErrJSON},
		{"a comma too many", "[1,]", msgpack.ErrJSON},
		{"no comma", "[1 2]", msgpack.ErrJSON},
		{"a comma first", "[,1]", msgpack.ErrJSON},
		{"the wrong bracket", "[1}", msgpack.ErrJSON},
		{"an open object", `{"a":1`, msgpack.ErrJSON},
		{"an object of a bracket", `{`, msgpack.ErrJSON},
		{"an array of a bracket", `[`, msgpack.ErrJSON},
		{"no colon", `{"a" 1}`, msgpack.ErrJSON},
		{"no value", `{"a":}`, msgpack.ErrJSON},
		{"a key that is none", `{1:2}`, msgpack.ErrJSON},
		{"a member missing", `{"a":1,}`, msgpack.ErrJSON},
		{"no comma between members", `{"a":1 "b":2}`, msgpack.ErrJSON},
		{"an open key", `{"a`, msgpack.ErrJSON},
		{"an open string", `"a`, msgpack.ErrJSON},
		{"an escape cut off", `"\`, msgpack.ErrJSON},
		{"an unknown escape", `"\x"`, msgpack.ErrJSON},
		{"a short escape", `"\u12"`, msgpack.ErrJSON},
		{"no hexadecimal", `"\u12g4"`, msgpack.ErrJSON},
		{"a control character", "\"\x01\"", msgpack.ErrJSON},
		{"a leading zero", "01", msgpack.ErrJSON},
		{"a sign alone", "-", msgpack.ErrJSON},
		{"a dot alone", "1.", msgpack.ErrJSON},
		{"an exponent alone", "1e", msgpack.ErrJSON},
		{"a word", "nul", msgpack.ErrJSON},
		{"NaN", "NaN", msgpack.ErrJSON},
		{"too deep", deep, msgpack.ErrDepth},
		{"a placeholder for nothing", `[{"_placeholder":true,"num":1}]`, msgpack.ErrPlaceholder},
		{"a placeholder without number", `[{"_placeholder":true}]`, msgpack.ErrPlaceholder},
		{"a placeholder below 0", `[{"_placeholder":true,"num":-1}]`, msgpack.ErrPlaceholder},
		{"a placeholder of text", `[{"_placeholder":true,"num":"0"}]`, msgpack.ErrPlaceholder},
		{"a placeholder between", `[{"_placeholder":true,"num":0.5}]`, msgpack.ErrPlaceholder},
		{"a placeholder far away", `[{"_placeholder":true,"num":4294967296}]`, msgpack.ErrPlaceholder},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := msgpack.FromJSON([]byte("x"), msgpack.Notepack2, []byte(tt.json), [][]byte{{1}})
			if !errors.Is(err, tt.want) || string(got) != "x" {
				t.Errorf("got %q, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// TestDates compares with package time, every tenth year, each day of a century, and the ends of
// what JavaScript has.
func TestDates(t *testing.T) {
	check := func(ms int64) {
		b, err := msgpack.Append(nil, msgpack.Notepack2, msgpack.Time(ms))
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := msgpack.ToJSON(nil, b, msgpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		at := time.UnixMilli(ms).UTC()
		year := at.Format("2006")
		switch y := at.Year(); {
		case y < 0:
			year = "-" + pad(-y)
		case y > 9999:
			year = "+" + pad(y)
		}
		if want := `"` + year + at.Format("-01-02T15:04:05.000Z") + `"`; string(got) != want {
			t.Fatalf("%d ms: got %s, want %s", ms, got, want)
		}
	}
	const last = 8_640_000_000_000_000
	check(last)
	check(-last)
	for ms := int64(-last); ms < last; ms += 3661*86_400_000 + 1234 {
		check(ms)
	}
	for day := int64(-1000); day < 50_000; day++ { // to 2106
		check(day*86_400_000 - day&1)
	}
}

func pad(year int) string {
	s := strconv.Itoa(year)
	return strings.Repeat("0", 6-len(s)) + s
}
