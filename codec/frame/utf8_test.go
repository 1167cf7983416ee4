package frame_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/frame"
)

// utf8Fault is the slow oracle: the length of the shortest start of p that no
// further bytes can make UTF-8, or 0, and whether p is complete as it is.
func utf8Fault(p []byte) (fault int, complete bool) {
	at := 0
	for at < len(p) {
		r, size := utf8.DecodeRune(p[at:])
		if r != utf8.RuneError || size != 1 {
			at += size
			continue
		}
		for n := 1; at+n <= len(p); n++ {
			if utf8.FullRune(p[at : at+n]) { // full, and yet an error
				return at + n, false
			}
		}
		return 0, false
	}
	return 0, true
}

// checkUTF8 feeds p in the given pieces, then byte by byte, and holds every
// answer against the oracle's.
func checkUTF8(t *testing.T, p []byte, pieces []int) {
	t.Helper()
	fault, complete := utf8Fault(p)
	if valid := utf8.Valid(p); valid != (fault == 0 && complete) {
		t.Fatalf("the oracle says %d, %v of %x; unicode/utf8 says %v", fault, complete, p, valid)
	}
	feed := func(u *frame.UTF8, size func(i int) int) {
		t.Helper()
		for at, i := 0, 0; at < len(p); i++ {
			end := min(at+size(i), len(p))
			ok := u.Write(p[at:end])
			at = end
			if want := fault == 0 || fault > at; ok != want {
				t.Fatalf("%x: after %d bytes Write is %v; the first bad byte is number %d", p, at, ok, fault)
			}
		}
		if u.Complete() != complete {
			t.Fatalf("%x: Complete is %v; want %v", p, u.Complete(), complete)
		}
	}
	var u frame.UTF8
	feed(&u, func(int) int { return 1 })
	u.Reset()
	feed(&u, func(int) int { return len(p) })
	u.Reset()
	if len(pieces) > 0 {
		feed(&u, func(i int) int { return pieces[i%len(pieces)] })
	}
}

func TestUTF8(t *testing.T) {
	tests := []struct {
		name, text string
		fault      int // number of the first bad byte, 0 for none
		complete   bool
	}{
		{"empty", "", 0, true},
		{"ASCII", "Hello", 0, true},
		{"ASCII of 20 bytes", strings.Repeat("x", 20), 0, true},
		{"bad last byte of many", strings.Repeat("x", 71) + "\xff", 72, false},
		{"bad middle byte of many", strings.Repeat("x", 67) + "\x80" + strings.Repeat("x", 67), 68, false},
		{"Greek", "κόσμε", 0, true},
		{"NUL", "\x00", 0, true},
		{"U+0080", "\xc2\x80", 0, true},
		{"U+07FF", "\xdf\xbf", 0, true},
		{"U+0800", "\xe0\xa0\x80", 0, true},
		{"U+D7FF", "\xed\x9f\xbf", 0, true},
		{"U+E000", "\xee\x80\x80", 0, true},
		{"U+FFFF", "\xef\xbf\xbf", 0, true},
		{"U+10000", "\xf0\x90\x80\x80", 0, true},
		{"U+10FFFF", "\xf4\x8f\xbf\xbf", 0, true},
		{"continuation alone", "a\x80", 2, false},
		{"overlong slash in two", "\xc0\xaf", 1, false},
		{"overlong C1", "\xc1\xbf", 1, false},
		{"overlong slash in three", "\xe0\x80\xaf", 2, false},
		{"overlong U+07FF", "\xe0\x9f\xbf", 2, false},
		{"overlong slash in four", "\xf0\x80\x80\xaf", 2, false},
		{"overlong U+FFFF", "\xf0\x8f\xbf\xbf", 2, false},
		{"surrogate D800", "\xed\xa0\x80", 2, false},
		{"surrogate DFFF", "\xed\xbf\xbf", 2, false},
		{"RFC 6455 8.1 in Autobahn's words", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 13, false},
		{"U+110000", "\xf4\x90\x80\x80", 2, false},
		{"F5", "\xf5", 1, false},
		{"FE", "\xfe", 1, false},
		{"two of three", "\xe2\x82", 0, false},
		{"three of four", "\xf0\x9f\x98", 0, false},
		{"lead inside a code point", "\xe2\x82\xe2", 3, false},
		{"ASCII inside a code point", "\xe2a", 2, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if fault, complete := utf8Fault([]byte(tt.text)); fault != tt.fault || complete != tt.complete {
				t.Errorf("oracle: %d, %v; want %d, %v", fault, complete, tt.fault, tt.complete)
			}
			checkUTF8(t, []byte(tt.text), []int{2, 3, 5})
		})
	}
}

// Every code point, in the middle of others.
func TestUTF8EveryRune(t *testing.T) {
	var u frame.UTF8
	buf := make([]byte, 0, 64)
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		buf = utf8.AppendRune(append(buf[:0], "é, "...), r)
		buf = append(buf, "\u20acuro and more"...)
		if !u.Write(buf) || !u.Complete() {
			t.Fatalf("U+%04X refused", r)
		}
	}
}

// Every sequence of up to 4 bytes from both sides of every border in the
// grammar.
func TestUTF8Borders(t *testing.T) {
	borders := []byte{
		0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
		0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
	}
	var p [4]byte
	total := len(borders) * len(borders) * len(borders) * len(borders)
	for i := range total {
		for at, rest := 0, i; at < len(p); at, rest = at+1, rest/len(borders) {
			p[at] = borders[rest%len(borders)]
		}
		fault, complete := utf8Fault(p[:])
		var u frame.UTF8
		first := 0
		for at := range p {
			if !u.Write(p[at:at+1]) && first == 0 {
				first = at + 1
			}
		}
		if first != fault || u.Complete() != complete {
			t.Fatalf("%x: first bad byte %d, complete %v; want %d, %v", p, first, u.Complete(), fault, complete)
		}
	}
}

// A fault shows in the piece it lies in, wherever the pieces are cut and
// whatever surrounds it.
func TestUTF8FaultPlaces(t *testing.T) {
	text := slices.Repeat([]byte("plain ASCII text, €uro, прив"), 4)
	for at := range text {
		p := slices.Clone(text)
		p[at] = 0xff
		checkUTF8(t, p, []int{7, 16, 1, 33})
	}
}
