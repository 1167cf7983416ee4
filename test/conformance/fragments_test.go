package conformance

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

func TestFragmentation(t *testing.T) {
	runAll(t, everywhere(slices.Concat(fragmentCases(), splitCases(), badFragmentCases())))
}

func fragmentCases() []Case {
	return []Case{
		{
			Name: "two frames", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "one "), last("two")), wantText("one two")),
		},
		{
			Name: "two frames, one after the other", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "one ")), send(last("two")), wantText("one two")),
		},
		{
			Name: "all empty", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, ""), part(rawws.Continuation, ""), last("")), wantText("")),
		},
		{
			Name: "empty around the middle", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, ""), part(rawws.Continuation, "middle"), last("")), wantText("middle")),
		},
		{
			Name: "two messages", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "a"), last("b"), part(rawws.Binary, "c"), last("d")),
				wantText("ab"), wantBinary([]byte("cd"))),
		},
		{
			Name: "hundred frames", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Binary, ""), slices.Repeat(part(rawws.Continuation, "abcdefg"), 98), last("!")),
				wantBinary([]byte(string(bytes.Repeat([]byte("abcdefg"), 98))+"!"))),
		},
		{
			Name: "hundred frames in packets of one byte", Section: "RFC 6455 5.4",
			Steps: steps(chop(1, part(rawws.Binary, ""), slices.Repeat(part(rawws.Continuation, "a"), 98), last("!")),
				wantBinary([]byte(string(bytes.Repeat([]byte("a"), 98))+"!"))),
		},
	}
}

// splitCases send messages in frames of one size.
func splitCases() (cases []Case) {
	for _, size := range []int{125, 126, 1000, 16384, 65536, 131072} {
		for _, n := range []int{64, 125, 126, 1021, 16384, 65536} {
			if size/n > 1000 || n >= size {
				continue
			}
			p := pattern(size)
			cases = append(cases, Case{
				Name: fmt.Sprintf("%d bytes in frames of %d", size, n), Section: "RFC 6455 5.4",
				Steps: steps(send(split(rawws.Frame{Op: rawws.Binary}, p, n)), wantBinary(p)),
			})
		}
	}
	return cases
}

// split is the message p in frames of n bytes, the first like f.
func split(f rawws.Frame, p []byte, n int) (out []byte) {
	for {
		k := min(n, len(p))
		f.Payload, p = p[:k], p[k:]
		f.Fin = len(p) == 0
		out = append(out, f.Bytes()...)
		if f.Fin {
			return out
		}
		f = rawws.Frame{}
	}
}

func badFragmentCases() []Case {
	gwsReadsFirst := func(rest ...[]byte) Except {
		return Except{"gws": {"reads the payload first", steps(send(rest...), fails(1002))}}
	}
	return []Case{
		{
			Name: "continuation of nothing", Section: "RFC 6455 5.4",
			Steps: steps(send(last("what?")), fails(1002)),
		},
		{
			Name: "continuation of nothing without FIN", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Continuation, "what?")), fails(1002)),
		},
		{
			Name: "continuation of nothing, header alone", Section: "RFC 6455 5.4",
			Steps:  steps(send(announce(true, rawws.Continuation, 5, "")), fails(1002)),
			Except: gwsReadsFirst(last("what?")),
		},
		{
			Name: "continuation of a whole message", Section: "RFC 6455 5.4",
			Steps: steps(send(text("whole"), last("what?")), wantText("whole"), fails(1002)),
		},
		{
			Name: "continuation of an ended message", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "a"), last("b"), last("c")), wantText("ab"), fails(1002)),
		},
		{
			Name: "text inside a text", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "a"), text("b")), fails(1002)),
		},
		{
			Name: "binary inside a text", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "a"), frame(rawws.Binary, nil)), fails(1002)),
		},
		{
			Name: "fragmented text inside a fragmented text", Section: "RFC 6455 5.4",
			Steps: steps(send(part(rawws.Text, "a"), part(rawws.Text, "b")), fails(1002)),
		},
		{
			Name: "text inside a text, header alone", Section: "RFC 6455 5.4",
			Steps:  steps(send(part(rawws.Text, "a"), announce(true, rawws.Text, 3, "")), fails(1002)),
			Except: gwsReadsFirst(part(rawws.Text, "a"), text("abc")),
		},
	}
}
