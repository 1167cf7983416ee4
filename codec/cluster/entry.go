package cluster

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// Entry is an entry of the streams adapter's stream: its fields are named uid,
// nsp, type and data.
type Entry struct {
	UID, Namespace string
	Type           string // a number
	Data           string // JSON, or MessagePack in base64; "": the entry has no such field
}

// MakeEntry returns a message as an entry: MessagePack if there is binary data in
// it, unless onlyPlaintext. All kinds are written: up to version 0.2 all of them
// go through the stream, and from 0.3 on those that are no requests. An entry that
// lacks something makes Node's readers spin for as long as it is there.
//
// The error is [ErrMessage]. Hot path: per broadcast.
func MakeEntry(m *Message, onlyPlaintext bool) (Entry, error) {
	if err := m.prepare(); err != nil {
		return Entry{}, err
	}
	if !utf8.ValidString(m.UID) || !utf8.ValidString(m.Namespace) {
		return Entry{}, errText
	}
	e := Entry{UID: m.UID, Namespace: m.Namespace, Type: strconv.Itoa(int(wireTypes[m.Kind]))}
	if m.Kind.heartbeat() {
		return e, nil
	}
	w := writerOf(nil, m, m.hasBinary() && !onlyPlaintext, msgpack.MsgpackJS)
	w.data(m, false)
	if w.err != nil {
		return Entry{}, w.err
	}
	if w.packed {
		e.Data = base64.StdEncoding.EncodeToString(w.dst)
	} else {
		e.Data = conv.String(w.dst)
	}
	return e, nil
}

// Message reads an entry, whose id is offset. The message aliases Data; only its
// strings have memory of their own. A message of kind Broadcast with a RequestID,
// and those of the other kinds that ask or answer, are from version 0.2.
//
// The errors are [ErrMessage], and [ErrIgnored] for entries that are not of a
// namespace or of an unknown kind.
func (e Entry) Message(offset string) (*Message, error) {
	if e.Namespace == "" {
		return nil, ErrIgnored
	}
	n, err := strconv.ParseUint(e.Type, 10, 32)
	if err != nil {
		return nil, errType
	}
	kind, ok := kindOf(float64(n))
	if !ok {
		return nil, ErrIgnored
	}
	m := &Message{Kind: kind, UID: toText(e.UID), Namespace: toText(e.Namespace), Offset: offset}
	if kind.heartbeat() {
		return m, nil
	}
	data, err := parseData(e.Data)
	if err != nil {
		return nil, err
	}
	if err := m.read(data); err != nil {
		return nil, err
	}
	return m.finish()
}

func parseData(s string) (value, error) {
	if strings.HasPrefix(s, "{") {
		return parseJSON(conv.Bytes(s))
	}
	b, err := decodeBase64(s)
	if err != nil {
		return value{}, err
	}
	return parsePacked(b)
}

// decodeBase64 reads base64 with or without padding.
func decodeBase64(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, errEncoding
	}
	return b, nil
}

// StreamName is the stream that a namespace's entries go to, of count streams.
// It is Node's, except for namespaces whose hash is below 0: these Node writes to
// a stream that it does not read itself, so that nobody gets them.
func StreamName(base string, count int, namespace string) string {
	if count <= 1 {
		return base
	}
	return base + "-" + strconv.Itoa((streamIndex(count, namespace)+count)%count)
}

// NodeStreamName is the stream that Node's servers write a namespace's entries to.
func NodeStreamName(base string, count int, namespace string) string {
	if count <= 1 {
		return base
	}
	return base + "-" + strconv.Itoa(streamIndex(count, namespace))
}

// streamIndex is Node's: it has the sign of the hash.
func streamIndex(count int, namespace string) int {
	var h int32
	for _, unit := range utf16.Encode([]rune(namespace)) {
		h = h*31 + int32(unit)
	}
	return int(h) % count
}

// StreamNames are all the streams that nodes write to: those that Node reads, and
// behind them those that it only writes.
func StreamNames(base string, count int) []string {
	if count <= 1 {
		return []string{base}
	}
	names := make([]string, 0, 2*count-1)
	for i := range count {
		names = append(names, base+"-"+strconv.Itoa(i))
	}
	for i := 1; i < count; i++ {
		names = append(names, base+"--"+strconv.Itoa(i))
	}
	return names
}
