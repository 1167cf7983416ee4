package redis

import (
	"encoding/binary"
	"errors"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/conv"
)

// A topic's messages travel in envelopes, several in one if they waited together:
//
//	plain:   1 publisher[8] first[8] why[1] { flags[1] length[4] data }...
//	durable: 2 publisher[8] previous* number* { offset* flags[1] length[4] data }...
//
// Numbers are big-endian; a * is one byte of length before a text. publisher is
// the membership that published, so that it can skip its own. first is the number
// of the first message among those that the publisher has sent, or failed to
// send, to the topic: in its low 40 bits from 0, and once more from 0, with other
// high bits, when the publisher had forgotten the topic. why is the
// broker.GapReason of those that failed just before. previous is the offset of the entry before the first message in the
// log, and number how many entries that is in the log's life. The server writes
// the durable envelope: topicScript.
const (
	plainVersion   = 1
	durableVersion = 2

	plainHeader   = 1 + 8 + 8 + 1
	messageHeader = 1 + 4

	flagBinary = 1
)

// errEnvelope says that what was published on a topic's channel is no envelope.
var errEnvelope = errors.New("redis: malformed envelope of a topic")

// plainEnvelope is what a plain topic's channel carries.
type plainEnvelope struct {
	publisher uint64
	first     uint64
	why       broker.GapReason
	count     int
	body      string // checked: nextMessage can take it apart
}

// appendPlainHeader begins an envelope; appendMessage goes on.
func appendPlainHeader(dst []byte, publisher, first uint64, why broker.GapReason) []byte {
	dst = append(dst, plainVersion)
	dst = binary.BigEndian.AppendUint64(dst, publisher)
	dst = binary.BigEndian.AppendUint64(dst, first)
	return append(dst, byte(why))
}

func appendMessage(dst []byte, binaryData bool, data []byte) []byte {
	flags := byte(0)
	if binaryData {
		flags = flagBinary
	}
	dst = append(dst, flags)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(data)))
	return append(dst, data...)
}

// parsePlain checks a whole envelope. The result aliases b.
func parsePlain(b string) (plainEnvelope, error) {
	if len(b) < plainHeader || b[0] != plainVersion {
		return plainEnvelope{}, errEnvelope
	}
	e := plainEnvelope{
		publisher: uint64At(b, 1), first: uint64At(b, 9),
		why: broker.GapReason(b[17]), body: b[plainHeader:],
	}
	for rest := e.body; rest != ""; e.count++ {
		var ok bool
		if _, _, rest, ok = nextMessage(rest); !ok {
			return plainEnvelope{}, errEnvelope
		}
	}
	if e.count == 0 {
		return plainEnvelope{}, errEnvelope
	}
	return e, nil
}

// nextMessage takes the first message from the body of an envelope.
func nextMessage(b string) (data string, isBinary bool, rest string, ok bool) {
	if len(b) < messageHeader || b[0] > flagBinary {
		return "", false, "", false
	}
	length := uint64(uint32At(b, 1))
	rest = b[messageHeader:]
	if uint64(len(rest)) < length {
		return "", false, "", false
	}
	return rest[:length], b[0] == flagBinary, rest[length:], true
}

// logEntry is a message of a durable topic, as the channel or the log has it.
type logEntry struct {
	id, previous cluster.ID
	offset       string // id
	number       uint64 // of the entry in the log's life, from 1; 0: unknown
	publisher    uint64
	binary       bool
	data         string
	// foreign: something else has written it; only id is set.
	foreign bool
}

func (e *logEntry) message(topic string) broker.Message {
	return broker.Message{Topic: topic, Data: conv.Bytes(e.data), Binary: e.binary, Offset: e.offset}
}

// parseDurable appends an envelope's messages to dst. They alias b.
func parseDurable(dst []logEntry, b string) ([]logEntry, error) {
	if len(b) < 9 || b[0] != durableVersion {
		return dst, errEnvelope
	}
	publisher := uint64At(b, 1)
	previous, rest, ok := nextText(b[9:])
	number, rest, okNumber := nextText(rest)
	before, err := cluster.ParseID(previous)
	n, okN := parseNumber(number)
	if !ok || !okNumber || err != nil || !okN || rest == "" {
		return dst, errEnvelope
	}
	entries := dst
	for rest != "" {
		e := logEntry{previous: before, publisher: publisher}
		if e.offset, rest, ok = nextText(rest); !ok {
			return dst, errEnvelope
		}
		if e.id, err = cluster.ParseID(e.offset); err != nil || e.id.Compare(before) <= 0 {
			return dst, errEnvelope
		}
		if e.data, e.binary, rest, ok = nextMessage(rest); !ok {
			return dst, errEnvelope
		}
		n++
		e.number, before = n, e.id
		entries = append(entries, e)
	}
	return entries, nil
}

// nextText takes a text with one byte of length from b.
func nextText(b string) (text, rest string, ok bool) {
	if b == "" || len(b)-1 < int(b[0]) {
		return "", "", false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}

// parseNumber reads a decimal number of at most 15 digits: the server's scripts
// count in floating point.
func parseNumber(s string) (n uint64, ok bool) {
	if s == "" || len(s) > 15 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + uint64(s[i]-'0')
	}
	return n, true
}

func uint64At(b string, at int) uint64 { return binary.BigEndian.Uint64(conv.Bytes(b[at : at+8])) }
func uint32At(b string, at int) uint32 { return binary.BigEndian.Uint32(conv.Bytes(b[at : at+4])) }
