package conformance

import (
	"fmt"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestUTF8(t *testing.T) {
	runAll(t, slices.Concat(everywhere(slices.Concat(validTexts(), invalidTexts(), earlyCases())), compressedTexts()))
}

var valid = []string{
	"Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!",
	"\u03ba\u1f79\u03c3\u03bc\u03b5",
	"\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufdd0", "\ufffd", "\ufffe", "\uffff",
	"\U00010000", "\U0001f600", "\U0001ffff", "\U0010fffe", "\U0010ffff",
	"a\U0001f600\u20ac\u00e9z",
}

// The first bad byte of each is found by firstBad.
var invalid = []string{
	"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80\xbf", // continuation bytes alone
	"\xc0", "\xc1", "\xf5", "\xf8", "\xfc", "\xfe", "\xff", // never in UTF-8
	"\xc3", "\xe2\x82", "\xf0\x9f", "\xf0\x9f\x98", // unfinished at the end
	"\xc3a", "\xe2\x82a", "\xe2a", "\xf0\x9f\x98a", "\xf0a", // unfinished before more
	"\xe2\x28\xa1", "\xf0\x28\x8c\xbc", "\xf0\x90\x28\xbc", // a bad byte in the middle
	"\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", // overlong
	"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", // surrogates
	"\xf4\x90\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", // beyond U+10FFFF
	"\u03ba\u1f79\u03c3\u03bc\u03b5\xed\xa0\x80edited", "\u03ba\u1f79\u03c3\u03bc\u03b5\xf4\x90\x80\x80edited",
}

// firstBad is the length of the longest beginning of s that some valid text has.
func firstBad(s string) int {
	for n := range len(s) {
		if !extensible(s[:n+1], 3) {
			return n
		}
	}
	return len(s)
}

// extensible says whether s with at most n more bytes can be valid. The bytes
// tried are the edges of every class of continuation bytes.
func extensible(s string, n int) bool {
	if utf8.ValidString(s) {
		return true
	}
	if n == 0 {
		return false
	}
	return slices.ContainsFunc([]string{"\x80", "\x8f", "\x90", "\x9f", "\xa0", "\xbf"},
		func(next string) bool { return extensible(s+next, n-1) })
}

func validTexts() (cases []Case) {
	for _, s := range valid {
		name := fmt.Sprintf("valid %+q", s)
		cases = append(cases,
			Case{
				Name: name, Section: "RFC 6455 8.1",
				Steps: steps(send(text(s)), wantText(s)),
			},
			Case{
				Name: name + " in packets of one byte", Section: "RFC 6455 8.1",
				Steps: steps(chop(1, text(s)), wantText(s)),
			},
			Case{
				Name: name + " in frames of one byte", Section: "RFC 6455 5.6, 8.1",
				Steps: steps(send(split(rawws.Frame{Op: rawws.Text}, []byte(s), 1)), wantText(s)),
			},
			Case{
				Name: name + " behind long ASCII", Section: "RFC 6455 8.1",
				Steps: steps(send(text(letters(1000)+s+letters(31))), wantText(letters(1000)+s+letters(31))),
			})
	}
	long := letters(9) + "\U0001f600\u20ac\u00e9"
	for len(long) < 20000 {
		long += long
	}
	for _, n := range []int{63, 125, 4096, 16381} {
		cases = append(cases, Case{
			Name: fmt.Sprint("long text in frames of ", n), Section: "RFC 6455 5.6, 8.1",
			Steps: steps(send(split(rawws.Frame{Op: rawws.Text}, []byte(long), n)), wantText(long)),
		})
	}
	return cases
}

func invalidTexts() (cases []Case) {
	for _, s := range invalid {
		name := fmt.Sprintf("invalid %+q", s)
		fragments := split(rawws.Frame{Op: rawws.Text}, []byte(s), 1)
		cases = append(cases,
			Case{
				Name: name, Section: "RFC 6455 8.1",
				Steps: steps(send(text(s)), fails(1007)),
			},
			Case{
				Name: name + " in packets of one byte", Section: "RFC 6455 8.1",
				Steps: steps(chop(1, text("good "+s)), fails(1007)),
			},
			Case{
				Name: name + " in frames of one byte", Section: "RFC 6455 5.6, 8.1",
				Steps: steps(send(fragments), fails(1007)),
			},
			Case{
				Name: name + " behind a good text", Section: "RFC 6455 8.1",
				Steps: steps(send(text("good"), text(letters(500)+s)), wantText("good"), fails(1007)),
			},
			Case{
				Name: name + " is welcome in binary", Section: "RFC 6455 5.6",
				Steps: steps(send(frame(rawws.Binary, []byte(s))), wantBinary([]byte(s))),
			})
	}
	return cases
}

// earlyCases expect the Close frame as soon as a bad byte is there, although the
// frame or the message has not ended. RFC 6455 8.1 asks to fail the connection
// when the bytes are found; nothing that follows could mend them.
func earlyCases() (cases []Case) {
	for _, s := range invalid {
		n := firstBad(s)
		if n == len(s) {
			continue // only the end of the message makes it bad
		}
		name := fmt.Sprintf("at once %+q", s)
		begin := "begin " + s[:n+1]
		rest := s[n+1:] + " and more"
		later := func(first []byte, then ...[]byte) Except {
			return both("looks at a whole message only", append(steps(send(first)), send(then...), fails(1007))...)
		}
		whole := announce(true, rawws.Text, uint64(len(begin)+len(rest)), begin)
		fragment := announce(false, rawws.Text, uint64(len(begin)+len(rest)), begin)
		second := announce(true, rawws.Continuation, uint64(n+1+len(rest)), s[:n+1])
		wholeRest, secondRest := masked(rest, len(begin)), masked(rest, n+1)
		cases = append(cases,
			Case{
				Name: name + " inside a frame", Section: "RFC 6455 8.1",
				Steps:  steps(send(whole), fails(1007)),
				Except: later(whole, wholeRest),
			},
			Case{
				Name: name + " inside a fragment", Section: "RFC 6455 8.1",
				Steps:  steps(send(fragment), fails(1007)),
				Except: later(fragment, wholeRest, last("")),
			},
			Case{
				Name: name + " inside the second fragment", Section: "RFC 6455 8.1",
				Steps:  steps(send(part(rawws.Text, "good \u20ac"), second), fails(1007)),
				Except: later(append(part(rawws.Text, "good \u20ac"), second...), secondRest),
			},
			Case{
				Name: name + " in a whole fragment", Section: "RFC 6455 8.1",
				Steps:  steps(send(part(rawws.Text, begin)), fails(1007)),
				Except: later(part(rawws.Text, begin), last(rest)),
			},
			Case{
				Name: name + " in packets of one byte", Section: "RFC 6455 8.1",
				Steps:  steps(chop(1, whole), fails(1007)),
				Except: later(whole, wholeRest),
			})
		if n > 0 {
			cases = append(cases, Case{
				Name: name + " begun in the fragment before", Section: "RFC 6455 8.1",
				Steps:  steps(send(part(rawws.Text, s[:n]), announce(false, rawws.Continuation, 100, s[n:n+1])), fails(1007)),
				Except: later(part(rawws.Text, s[:n]), last(s[n:])),
			})
		}
	}
	return cases
}

// masked is more payload of a frame of which offset bytes were sent.
func masked(payload string, offset int) []byte {
	whole := rawws.Frame{Payload: append(make([]byte, offset), payload...)}.Bytes()
	return whole[len(whole)-len(payload):]
}

func compressedTexts() (cases []Case) {
	for _, path := range []string{shared, dedicated} {
		for _, s := range valid {
			cases = append(cases, Case{
				Name: fmt.Sprintf("%s/compressed valid %+q", path[1:], s), Section: "RFC 6455 8.1, RFC 7692 6.2",
				Profile: path, Offer: pmd,
				Steps: steps(send(deflated(rawws.Text, s)), wantText(s)),
			})
		}
		for _, s := range invalid {
			cases = append(cases, Case{
				Name: fmt.Sprintf("%s/compressed invalid %+q", path[1:], s), Section: "RFC 6455 8.1, RFC 7692 6.2",
				Profile: path, Offer: pmd,
				Steps: steps(send(deflated(rawws.Text, s)), fails(1007)),
			})
		}
	}
	return cases
}
