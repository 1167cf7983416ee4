package cluster

import (
	"strconv"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// maxDepth is how deep a payload may be nested, as in codec/sio.
const maxDepth = 1024

// writer writes a message as JSON, or as MessagePack if it is packed. After the
// first error it goes on without sense: take dst only if err is nil.
type writer struct {
	dst     []byte
	packed  bool
	dialect msgpack.Dialect
	err     error
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// open starts an object of n members.
func (w *writer) open(n int) {
	if w.packed {
		w.dst = msgpack.AppendMap(w.dst, n)
		return
	}
	w.dst = append(w.dst, '{')
}

func (w *writer) close() {
	if !w.packed {
		w.dst = append(w.dst, '}')
	}
}

// key writes the name of a member, which needs no escapes.
func (w *writer) key(name string) {
	if w.packed {
		w.dst = msgpack.AppendString(w.dst, name)
		return
	}
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, '"', ':')
}

// text writes a string. Node's decoders throw at what is not UTF-8.
func (w *writer) text(s string) {
	if !utf8.ValidString(s) {
		w.fail(errText)
		return
	}
	if w.packed {
		w.dst = msgpack.AppendString(w.dst, s)
		return
	}
	w.dst = jsontext.AppendQuoted(w.dst, s)
}

// list starts a list of n elements.
func (w *writer) list(n int) {
	if w.packed {
		w.dst = msgpack.AppendArray(w.dst, n)
		return
	}
	w.dst = append(w.dst, '[')
}

// element comes before the element i of a list.
func (w *writer) element(i int) {
	if i > 0 && !w.packed {
		w.dst = append(w.dst, ',')
	}
}

func (w *writer) endList() {
	if !w.packed {
		w.dst = append(w.dst, ']')
	}
}

// names writes a list of strings: an empty one too, because Node wants a list.
func (w *writer) names(list []string) {
	w.list(len(list))
	for i, s := range list {
		w.element(i)
		w.text(s)
	}
	w.endList()
}

func (w *writer) uint(n uint64) {
	if w.packed {
		w.dst = msgpack.AppendUint(w.dst, w.dialect, n)
		return
	}
	w.dst = strconv.AppendUint(w.dst, n, 10)
}

func (w *writer) bool(v bool) {
	if w.packed {
		w.dst = msgpack.AppendBool(w.dst, v)
		return
	}
	w.dst = strconv.AppendBool(w.dst, v)
}

// json writes a value that is JSON already, with its attachments. Where there is
// only JSON, binary data becomes what JSON.stringify makes of a Buffer.
func (w *writer) json(text []byte, attachments [][]byte) {
	var err error
	switch {
	case w.packed:
		w.dst, err = msgpack.FromJSON(w.dst, w.dialect, text, attachments)
	case len(attachments) > 0:
		w.dst, err = appendBuffers(w.dst, text, attachments)
	default:
		err = w.raw(text)
	}
	if err != nil {
		w.fail(errPayload)
	}
}

// raw copies JSON.
func (w *writer) raw(text []byte) error {
	end, err := jsontext.Scan(text, 0, maxDepth)
	if err != nil {
		return err
	}
	if jsontext.SkipSpace(text, end) != len(text) {
		return errPayload
	}
	if utf8.Valid(text) {
		w.dst = append(w.dst, text...)
	} else {
		w.dst = append(w.dst, validText(text)...)
	}
	return nil
}

// firstOf is the first element of a list: the one argument of an acknowledgement
// that is sent. ok is false if there is none.
func firstOf(p *sio.Payload) (text []byte, ok bool) {
	end, err := jsontext.Scan(p.JSON, 0, maxDepth)
	if err != nil || jsontext.SkipSpace(p.JSON, end) != len(p.JSON) {
		return nil, true // which is no JSON: writing it fails
	}
	start := jsontext.SkipSpace(p.JSON, jsontext.SkipSpace(p.JSON, 0)+1)
	if p.JSON[start] == ']' {
		return nil, false
	}
	return p.JSON[start:jsontext.Next(p.JSON, start)], true
}
