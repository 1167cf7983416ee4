package pubsub

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/internal/conv"
)

func appendNumber(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// appendHello begins a connection. ping is in seconds.
func appendHello(dst []byte, server, connection string, ping int) []byte {
	dst = append(dst, `{"op":"hello","v":1,"server":`...)
	dst = jsontext.AppendQuoted(dst, server)
	dst = append(dst, `,"connection":`...)
	dst = jsontext.AppendQuoted(dst, connection)
	dst = append(dst, `,"ping":`...)
	dst = appendNumber(dst, int64(ping))
	return append(dst, '}')
}

// appendOK begins an answer, which the caller ends with a brace.
func appendOK(dst []byte, id string) []byte {
	dst = append(dst, `{"op":"ok","id":`...)
	return append(dst, id...)
}

func appendOffset(dst []byte, offset string) []byte {
	dst = append(dst, `,"offset":`...)
	return jsontext.AppendQuoted(dst, offset)
}

// appendError refuses a request, or without an id tells of something else that has
// gone wrong, of a topic perhaps.
func appendError(dst []byte, id, topic string, f failure) []byte {
	dst = append(dst, `{"op":"error"`...)
	if id != "" {
		dst = append(dst, `,"id":`...)
		dst = append(dst, id...)
	}
	if topic != "" {
		dst = append(dst, `,"topic":`...)
		dst = jsontext.AppendQuoted(dst, topic)
	}
	dst = append(dst, `,"code":"`...)
	dst = append(dst, f.code.String()...)
	dst = append(dst, `","message":`...)
	dst = jsontext.AppendQuoted(dst, f.text)
	return append(dst, '}')
}

// appendMessage writes a message of a topic, whose name is quoted. Text that is JSON
// is passed on as it is, other text as a string, bytes in base64.
//
// Hot path: per message, once for all subscribers.
func appendMessage(dst []byte, quoted string, m *broker.Message) []byte {
	dst = append(dst, `{"op":"message","topic":`...)
	dst = append(dst, quoted...)
	switch {
	case m.Binary || !utf8.Valid(m.Data):
		dst = append(dst, `,"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Data)
		dst = append(dst, '"')
	case isJSON(m.Data):
		dst = append(dst, `,"data":`...)
		dst = append(dst, m.Data...)
	default:
		dst = append(dst, `,"data":`...)
		dst = jsontext.AppendQuoted(dst, conv.String(m.Data))
	}
	if m.Offset != "" {
		dst = appendOffset(dst, m.Offset)
	}
	return append(dst, '}')
}

func isJSON(b []byte) bool {
	end, err := jsontext.Scan(b, 0, jsontext.MaxDepth)
	return err == nil && jsontext.SkipSpace(b, end) == len(b)
}

// gapBytes is what a gap takes beside the topic's name.
const gapBytes = 128

// appendGap tells that messages of a topic are missing; lost below 0: unknown how
// many. presence says that joins or leaves are, too.
func appendGap(dst []byte, quoted string, why gapReason, lost int64, presence bool) []byte {
	dst = append(dst, `{"op":"gap","topic":`...)
	dst = append(dst, quoted...)
	dst = append(dst, `,"reason":"`...)
	dst = append(dst, why.String()...)
	dst = append(dst, '"')
	if lost >= 0 {
		dst = append(dst, `,"lost":`...)
		dst = appendNumber(dst, lost)
	}
	if presence {
		dst = append(dst, `,"presence":true`...)
	}
	return append(dst, '}')
}

// gapReason is why messages are missing.
type gapReason uint8

const (
	reconnected gapReason = iota
	trimmed
	backpressure
	gapReasons
)

var gapNames = [gapReasons]string{"reconnected", "trimmed", "backpressure"}

func (r gapReason) String() string { return gapNames[r] }

// gapOf is how a broker's gap is told.
func gapOf(r broker.GapReason) gapReason {
	switch r {
	case broker.Trimmed:
		return trimmed
	case broker.Overflow:
		return backpressure
	}
	return reconnected
}
