package cluster

import (
	"bytes"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// members are those that the objects in messages have, whichever it is. Members
// that are undefined are absent, and of equal names the last one counts, as in
// JavaScript.
type members struct {
	typ, data, uid, nsp, requestID            value // envelopes, requests and responses
	packet, opts, clientCount, close, sockets value
	rooms, except, flags                      value // options
	volatile, compress, timeout, single       value // flags
	id, handshake                             value // packets and sockets
	sid, room                                 value // old requests
	pid                                       value // sessions
}

// of returns the place of a member, nil for one that means nothing.
func (m *members) of(name []byte) *value {
	switch string(name) {
	case "type":
		return &m.typ
	case "data":
		return &m.data
	case "uid":
		return &m.uid
	case "nsp":
		return &m.nsp
	case "requestId":
		return &m.requestID
	case "packet":
		return &m.packet
	case "opts":
		return &m.opts
	case "clientCount":
		return &m.clientCount
	case "close":
		return &m.close
	case "sockets":
		return &m.sockets
	case "rooms":
		return &m.rooms
	case "except":
		return &m.except
	case "flags":
		return &m.flags
	case "volatile":
		return &m.volatile
	case "compress":
		return &m.compress
	case "timeout":
		return &m.timeout
	case "expectSingleResponse":
		return &m.single
	case "id":
		return &m.id
	case "handshake":
		return &m.handshake
	case "sid":
		return &m.sid
	case "room":
		return &m.room
	case "pid":
		return &m.pid
	}
	return nil
}

// members reads an object. ok is false if it is none.
func (v value) members() (m members, ok bool) {
	if v.packed {
		return m, m.unpack(v.b)
	}
	if len(v.b) == 0 || v.b[0] != '{' {
		return m, false
	}
	b := v.b
	i := jsontext.SkipSpace(b, 1)
	for b[i] == '"' {
		end := jsontext.SkipString(b, i+1)
		name := b[i+1 : end-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = jsontext.Unquote(nil, name)
		}
		i = jsontext.SkipSpace(b, jsontext.SkipSpace(b, end)+1) // the colon
		end = jsontext.Next(b, i)
		if at := m.of(name); at != nil {
			*at = value{b: b[i:end:end]}
		}
		if i = jsontext.SkipSpace(b, end); b[i] == ',' {
			i = jsontext.SkipSpace(b, i+1)
		}
	}
	return m, true
}

func (m *members) unpack(b []byte) (ok bool) {
	t, b, err := msgpack.Next(b)
	if err != nil || t.Kind != msgpack.KindMap {
		return false
	}
	for range t.Len {
		key, rest, err := msgpack.Next(b)
		if err != nil || key.Len > 0 {
			return false // a key that holds others: Node knows no such
		}
		after, err := msgpack.Skip(rest)
		if err != nil {
			return false
		}
		b = after
		if key.Kind != msgpack.KindString {
			continue
		}
		if at := m.of(key.Data); at != nil {
			*at = value{rest[:len(rest)-len(after)], true}
			if first, _ := at.token(); first.Kind == msgpack.KindUndefined {
				*at = value{}
			}
		}
	}
	return true
}
