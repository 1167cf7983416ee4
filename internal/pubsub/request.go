package pubsub

import (
	"encoding/base64"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/engine"
)

// maxID is the longest id of a request, in bytes.
const maxID = 20

// request is what a client has sent. Its slices alias the message, or the parser's
// scratch.
type request struct {
	op       string
	id       []byte // as sent; nil: none
	topic    []byte
	data     []byte // JSON, as sent; nil: none
	bytes    []byte // what base64 stands for; nil: none
	token    []byte
	presence bool
	recover  bool
	offset   []byte // of recover
}

// ops are the operations of a client.
var ops = [...]string{"subscribe", "unsubscribe", "publish", "presence", "auth", "ping"}

// parser reads requests. The zero value is ready; a loop has one.
type parser struct {
	scratch []byte
}

// maxScratch is how much room a parser keeps for the next request.
const maxScratch = 256 << 10

// parse reads one request. The fields that it does not know are checked for being
// JSON, and ignored; of a field that comes twice the last one counts. Where a
// request is refused, r.id is set if it was found.
//
// Hot path: per message.
func (p *parser) parse(r *request, b []byte) (failure, bool) {
	*r = request{}
	if cap(p.scratch) > maxScratch {
		p.scratch = nil
	}
	if cap(p.scratch) < len(b) {
		p.scratch = make([]byte, 0, max(1<<10, len(b)))
	}
	p.scratch = p.scratch[:0]
	end, err := jsontext.Scan(b, 0, jsontext.MaxDepth)
	if err != nil || jsontext.SkipSpace(b, end) != len(b) {
		return failure{badRequest, "the message is not JSON"}, false
	}
	i := jsontext.SkipSpace(b, 0)
	if b[i] != '{' {
		return failure{badRequest, "the message is no JSON object"}, false
	}
	var why failure
	ok, known := true, false
	refuse := func(f failure) {
		if ok {
			why, ok = f, false
		}
	}
	i = jsontext.SkipSpace(b, i+1)
	for b[i] != '}' {
		key, value, next := field(b, i)
		i = next
		switch {
		case jsontext.Is(key, "op"):
			r.op, known = opOf(value)
		case jsontext.Is(key, "id"):
			if !isID(value) {
				refuse(failure{badRequest, "id is no whole number"})
				break
			}
			r.id = value
		case jsontext.Is(key, "topic"):
			text, fine := p.text(value)
			if !fine {
				refuse(failure{badRequest, "topic is no string"})
			}
			r.topic = text
		case jsontext.Is(key, "data"):
			r.data = value
		case jsontext.Is(key, "base64"):
			if f, fine := p.base64(r, value); !fine {
				refuse(f)
			}
		case jsontext.Is(key, "token"):
			text, fine := p.text(value)
			if !fine {
				refuse(failure{badRequest, "token is no string"})
			}
			r.token = text
		case jsontext.Is(key, "presence"):
			r.presence = string(value) == "true"
		case jsontext.Is(key, "recover"):
			if f, fine := p.recover(r, value); !fine {
				refuse(f)
			}
		}
	}
	switch {
	case !ok:
	case r.op == "" && !known:
		why, ok = failure{badRequest, "op is missing, or no string"}, false
	case !known:
		why, ok = failure{unknownOp, "there is no such op"}, false
	}
	return why, ok
}

// field reads one field of an object that is known to be well formed. next is
// where the next one begins, or the brace that ends the object.
func field(b []byte, i int) (key, value []byte, next int) {
	end := jsontext.SkipString(b, i+1)
	key = b[i+1 : end-1]
	i = jsontext.SkipSpace(b, jsontext.SkipSpace(b, end)+1)
	end = jsontext.Next(b, i)
	value = b[i:end]
	if i = jsontext.SkipSpace(b, end); b[i] == ',' {
		i = jsontext.SkipSpace(b, i+1)
	}
	return key, value, i
}

// opOf returns an operation that the server knows; of another string it is "?".
func opOf(value []byte) (op string, known bool) {
	if value[0] != '"' {
		return "", false
	}
	for _, op := range ops {
		if jsontext.Is(value[1:len(value)-1], op) {
			return op, true
		}
	}
	return "?", false
}

// isID reports whether value is a whole number that is not too long.
func isID(value []byte) bool {
	if len(value) > maxID {
		return false
	}
	for i, c := range value {
		if c-'0' > 9 && (c != '-' || i > 0) {
			return false
		}
	}
	return true
}

// text reads a string.
func (p *parser) text(value []byte) ([]byte, bool) {
	if value[0] != '"' {
		return nil, false
	}
	start := len(p.scratch)
	p.scratch = jsontext.Unquote(p.scratch, value[1:len(value)-1])
	return p.scratch[start:len(p.scratch):len(p.scratch)], true
}

// base64 reads the field base64, of the standard alphabet, padded or not.
func (p *parser) base64(r *request, value []byte) (failure, bool) {
	text, ok := p.text(value)
	if !ok {
		return failure{badRequest, "base64 is no string"}, false
	}
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	n, err := base64.RawStdEncoding.Decode(text, text) // decoding in place is behind reading
	if err != nil {
		return failure{badRequest, "base64 is malformed"}, false
	}
	r.bytes = text[:n:n]
	return failure{}, true
}

// recover reads the field recover, which null does not ask for.
func (p *parser) recover(r *request, b []byte) (failure, bool) {
	if string(b) == "null" {
		return failure{}, true
	}
	if b[0] != '{' {
		return failure{badRequest, "recover is no object"}, false
	}
	for i := jsontext.SkipSpace(b, 1); b[i] != '}'; {
		key, value, next := field(b, i)
		i = next
		if !jsontext.Is(key, "offset") {
			continue
		}
		var ok bool
		if r.offset, ok = p.text(value); !ok {
			return failure{badRequest, "recover.offset is no string"}, false
		}
	}
	if len(r.offset) == 0 {
		return failure{badRequest, "recover has no offset"}, false
	}
	r.recover = true
	return failure{}, true
}

// checkTopic refuses what can't be a topic.
func checkTopic(topic []byte) (failure, bool) {
	switch {
	case len(topic) == 0:
		return failure{badRequest, "topic is missing, or empty"}, false
	case len(topic) > engine.MaxTopicLen:
		return failure{badRequest, "topic is too long"}, false
	case !utf8.Valid(topic):
		return failure{badRequest, "topic is not UTF-8"}, false
	}
	return failure{}, true
}
