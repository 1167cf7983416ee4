package cluster

import "github.com/fe4bcecb/wsd/codec/msgpack"

// AppendSharded appends a message as the sharded adapter sends it: JSON, or
// MessagePack if there is binary data in it. It does not send heartbeats. The
// error is [ErrMessage], and dst is returned unchanged with it. Hot path: per
// broadcast.
func AppendSharded(dst []byte, m *Message) ([]byte, error) {
	return appendEnvelope(dst, m, m.hasBinary(), msgpack.Notepack3)
}

// AppendStreams appends a message as the streams adapter publishes it: always
// MessagePack. The rest is as for [AppendSharded].
func AppendStreams(dst []byte, m *Message) ([]byte, error) {
	return appendEnvelope(dst, m, true, msgpack.MsgpackJS)
}

func appendEnvelope(dst []byte, m *Message, packed bool, d msgpack.Dialect) ([]byte, error) {
	if err := m.prepare(); err != nil {
		return dst, err
	}
	if m.Kind.heartbeat() {
		return dst, errKind
	}
	w := writerOf(dst, m, packed, d)
	w.open(4)
	w.key("type")
	w.uint(uint64(wireTypes[m.Kind]))
	w.key("data")
	w.data(m, d == msgpack.MsgpackJS)
	w.key("uid")
	w.text(m.UID)
	w.key("nsp")
	w.text(m.Namespace)
	w.close()
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// ParseSharded reads a message of the sharded adapter: JSON or MessagePack. The
// message aliases b, which nobody may change any more; only its strings have
// memory of their own. It says which namespace it is for: to compare is up to the
// caller, as with the UID, which may be empty.
//
// The errors are [ErrMessage], and [ErrIgnored] for kinds that this adapter does
// not use. Hot path: per message.
func ParseSharded(b []byte) (*Message, error) {
	v, err := parseAny(b)
	if err != nil {
		return nil, err
	}
	return parseEnvelope(v, false)
}

// ParseStreams reads a message that the streams adapter published: MessagePack.
// What it does not say is null there, so that an acknowledgement with null is one
// without arguments. The rest is as for [ParseSharded].
func ParseStreams(b []byte) (*Message, error) {
	v, err := parsePacked(b)
	if err != nil {
		return nil, err
	}
	return parseEnvelope(v, true)
}

func parseEnvelope(v value, explicit bool) (*Message, error) {
	e, ok := v.members()
	if !ok {
		return nil, errShape
	}
	f, ok := e.typ.number()
	if !ok {
		return nil, errType
	}
	m := &Message{}
	if m.Kind, ok = kindOf(f); !ok || m.Kind.heartbeat() {
		return nil, ErrIgnored
	}
	m.UID, _ = e.uid.text()
	m.Namespace, _ = e.nsp.text()
	d, ok := e.data.members()
	if !ok {
		return nil, errShape
	}
	if err := m.readMembers(&d); err != nil {
		return nil, err
	}
	if explicit && m.Kind.Response() && string(m.Args.JSON) == "[null]" {
		m.Args.JSON = []byte("[]")
	}
	return m.finish()
}
