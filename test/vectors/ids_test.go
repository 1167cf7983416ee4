package vectors

import (
	"fmt"
	"regexp"
	"strings"
)

// ids relates the ids of a transcript to those of its replay. An id becomes
// known when the transcript's server sends it, and bound when the replay's
// server sends something in its place.
type ids struct {
	offsets bool              // strings that look like the transcript's offsets are ids too
	live    map[string]string // by the transcript's id; empty: not bound yet
	known   []string
}

func newIDs() *ids { return &ids{live: map[string]string{}} }

var (
	// idPattern finds ids in JSON, in JSON within a string, in msgpack, and in
	// Engine.IO's cookie.
	idPattern = regexp.MustCompile(`(?:[sp]id\\?":\\?"|[sp]id\x{b4}|io=)([A-Za-z0-9_-]{20})`)
	// offsetPattern finds what the transcripts' recovery appends to events.
	offsetPattern = regexp.MustCompile(`"(Q87L[A-Za-z0-9_-]{3})"\]`)
)

// An offset may have any form that JSON does not escape.
const (
	idForm     = `([A-Za-z0-9_-]{20})`
	offsetForm = `([A-Za-z0-9_.:-]+)`
)

// learn takes in the ids of something that the transcript's server sent.
func (d *ids) learn(b []byte) {
	patterns := []*regexp.Regexp{idPattern}
	if d.offsets {
		patterns = append(patterns, offsetPattern)
	}
	for _, p := range patterns {
		for _, m := range p.FindAllStringSubmatch(byteRunes(b), -1) {
			id := m[1]
			if _, ok := d.live[id]; !ok {
				d.live[id] = ""
				d.known = append(d.known, id)
			}
		}
	}
}

// match compares what the replay's server sent with what the transcript's sent,
// and binds the ids that are seen for the first time.
func (d *ids) match(want, got []byte) error {
	d.learn(want)
	var pattern strings.Builder
	var unbound []string
	pattern.WriteString(`(?s)^`)
	for _, part := range d.split(string(want)) {
		live, known := d.live[part]
		switch {
		case !known:
			pattern.WriteString(quoteBytes(part))
		case live != "":
			pattern.WriteString(quoteBytes(live))
		default:
			form := idForm
			if len(part) < 20 {
				form = offsetForm
			}
			pattern.WriteString(form)
			unbound = append(unbound, part)
		}
	}
	pattern.WriteString(`$`)
	m := regexp.MustCompile(pattern.String()).FindStringSubmatch(byteRunes(got))
	if m == nil {
		return fmt.Errorf("got  %s\nwant %s", shown(got), shown(want))
	}
	for i, id := range unbound {
		if err := d.bind(id, m[i+1]); err != nil {
			return fmt.Errorf("%w\ngot  %s\nwant %s", err, shown(got), shown(want))
		}
	}
	return nil
}

func (d *ids) bind(id, live string) error {
	switch d.live[id] {
	case live:
		return nil
	case "":
	default:
		return fmt.Errorf("%s stands for both %s and %s", id, d.live[id], live)
	}
	for other, l := range d.live {
		if l == live {
			return fmt.Errorf("%s stands for both %s and %s", live, other, id)
		}
	}
	d.live[id] = live
	return nil
}

// replace puts the replay's ids into something of the transcript.
func (d *ids) replace(s string) (string, error) {
	var b strings.Builder
	for _, part := range d.split(s) {
		live, known := d.live[part]
		if known && live == "" {
			return "", fmt.Errorf("no id yet for %s", part)
		}
		if !known {
			live = part
		}
		b.WriteString(live)
	}
	return b.String(), nil
}

// split cuts s around the known ids.
func (d *ids) split(s string) []string {
	if len(d.known) == 0 {
		return []string{s}
	}
	var quoted []string
	for _, id := range d.known {
		quoted = append(quoted, regexp.QuoteMeta(id))
	}
	var parts []string
	end := 0
	for _, m := range regexp.MustCompile(strings.Join(quoted, "|")).FindAllStringIndex(s, -1) {
		parts = append(parts, s[end:m[0]], s[m[0]:m[1]])
		end = m[1]
	}
	return append(parts, s[end:])
}

// byteRunes makes a rune of every byte, so that a regular expression sees bytes.
func byteRunes(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

func quoteBytes(s string) string { return regexp.QuoteMeta(byteRunes([]byte(s))) }

// shown is b in an error message.
func shown(b []byte) string {
	if len(b) > 300 {
		return fmt.Sprintf("%q... (%d bytes)", b[:300], len(b))
	}
	return fmt.Sprintf("%q", b)
}
