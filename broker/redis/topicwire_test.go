package redis

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
)

// plainOf is an envelope of texts.
func plainOf(publisher, first uint64, why broker.GapReason, texts ...string) string {
	b := appendPlainHeader(nil, publisher, first, why)
	for _, s := range texts {
		b = appendMessage(b, false, []byte(s))
	}
	return string(b)
}

// durableOf is an envelope as the script writes it, of texts with the offsets
// ms-0, ms+1-0 and so on.
func durableOf(publisher uint64, previous string, number, ms int, texts ...string) string {
	b := binary.BigEndian.AppendUint64([]byte{durableVersion}, publisher)
	text := func(s string) { b = append(append(b, byte(len(s))), s...) }
	text(previous)
	text(fmt.Sprint(number))
	for i, s := range texts {
		text(fmt.Sprintf("%d-0", ms+i))
		b = appendMessage(b, false, []byte(s))
	}
	return string(b)
}

func TestPlainEnvelope(t *testing.T) {
	b := appendPlainHeader(nil, 1<<60+7, 42, broker.Overflow)
	b = appendMessage(b, false, []byte("text"))
	b = appendMessage(b, true, nil)
	b = appendMessage(b, true, []byte{0, 0xff})
	const want = "\x01" + "\x10\x00\x00\x00\x00\x00\x00\x07" + "\x00\x00\x00\x00\x00\x00\x00\x2a" + "\x04" +
		"\x00\x00\x00\x00\x04text" + "\x01\x00\x00\x00\x00" + "\x01\x00\x00\x00\x02\x00\xff"
	if string(b) != want {
		t.Fatalf("%q, want %q", b, want)
	}
	e, err := parsePlain(want)
	if err != nil || e.publisher != 1<<60+7 || e.first != 42 || e.why != broker.Overflow || e.count != 3 {
		t.Fatalf("%+v, %v", e, err)
	}
	var got []string
	for body := e.body; body != ""; {
		data, isBinary, rest, ok := nextMessage(body)
		got = append(got, fmt.Sprintf("%q %v %v", data, isBinary, ok))
		body = rest
	}
	if fmt.Sprint(got) != `["text" false true "" true true "\x00\xff" true true]` {
		t.Error(got)
	}
}

func TestDurableEnvelope(t *testing.T) {
	entries, err := parseDurable(nil, durableOf(9, "5-3", 17, 6, "a", "", "c"))
	if err != nil || len(entries) != 3 {
		t.Fatalf("%+v, %v", entries, err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%v<%s %d %d %q", e.previous, e.offset, e.number, e.publisher, e.data))
	}
	if want := `[5-3<6-0 18 9 "a" 6-0<7-0 19 9 "" 7-0<8-0 20 9 "c"]`; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestMalformedEnvelopes(t *testing.T) {
	plain, durable := plainOf(1, 2, 0, "abc"), durableOf(1, "0-0", 0, 5, "abc")
	for i := range plain {
		if _, err := parsePlain(plain[:i]); err == nil {
			t.Errorf("plain, %d bytes of %d: no error", i, len(plain))
		}
	}
	for i := range durable {
		if _, err := parseDurable(nil, durable[:i]); err == nil {
			t.Errorf("durable, %d bytes of %d: no error", i, len(durable))
		}
	}
	for name, b := range map[string]string{
		"another version":   "\x03" + plain[1:],
		"unknown flags":     strings.Replace(plain, "\x00\x00\x00\x00\x03abc", "\x02\x00\x00\x00\x03abc", 1),
		"a length too long": strings.Replace(plain, "\x03abc", "\x04abc", 1),
		"a length of 4 GiB": strings.Replace(plain, "\x00\x00\x00\x03abc", "\xff\xff\xff\xffabc", 1),
		"more at the end":   plain + "\x00",
		"durable":           durable,
	} {
		if _, err := parsePlain(b); err == nil {
			t.Errorf("plain, %s: no error", name)
		}
	}
	for name, b := range map[string]string{
		"plain":                  plain,
		"no offset before":       durableOf(1, "0", 0, 5, "a"),
		"offsets that go back":   durableOf(1, "9-0", 0, 5, "a"),
		"the same offset":        durableOf(1, "5-0", 0, 5, "a"),
		"a number that is none":  strings.Replace(durableOf(1, "0-0", 7, 5, "a"), "\x017", "\x01x", 1),
		"a number of 16 digits":  durableOf(1, "0-0", 1e15, 5, "a"),
		"more at the end":        durable + "\x00",
		"a negative number":      durableOf(1, "0-0", -1, 5, "a"),
		"an offset of one digit": strings.Replace(durable, "\x035-0", "\x015", 1),
	} {
		if got, err := parseDurable(nil, b); err == nil || len(got) > 0 {
			t.Errorf("durable, %s: %d entries, %v", name, len(got), err)
		}
	}
}

// FuzzPlainEnvelope holds what is accepted against what is written again.
func FuzzPlainEnvelope(f *testing.F) {
	f.Add([]byte(plainOf(1, 2, broker.Overflow, "a", "", "ccc")))
	f.Add([]byte("\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parsePlain(string(b))
		if err != nil {
			return
		}
		again := appendPlainHeader(nil, e.publisher, e.first, e.why)
		n := 0
		for body := e.body; body != ""; n++ {
			data, isBinary, rest, ok := nextMessage(body)
			if !ok {
				t.Fatal("a checked body can't be taken apart")
			}
			again = appendMessage(again, isBinary, []byte(data))
			body = rest
		}
		if !bytes.Equal(again, b) || n != e.count {
			t.Fatalf("%q, %d messages, is written as %q with %d", b, e.count, again, n)
		}
	})
}

// FuzzDurableEnvelope checks what readers rely on.
func FuzzDurableEnvelope(f *testing.F) {
	f.Add([]byte(durableOf(1, "0-0", 0, 5, "a", "")))
	f.Add([]byte(durableOf(1, "18446744073709551615-0", 999999999999999, 5, "a")))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseDurable(nil, string(b))
		if (err == nil) != (len(entries) > 0) {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		size := 0
		for i, e := range entries {
			size += len(e.data)
			if e.id.Compare(e.previous) <= 0 || i > 0 && (e.previous != entries[i-1].id || e.number != entries[i-1].number+1) {
				t.Fatalf("entry %d does not follow: %+v", i, entries)
			}
		}
		if size > len(b) {
			t.Fatalf("%d bytes of data from %d", size, len(b))
		}
	})
}
