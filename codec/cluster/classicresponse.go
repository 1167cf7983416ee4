package cluster

import "github.com/fe4bcecb/wsd/codec/msgpack"

// AppendClassicResponse appends the answer to a request: m is of the kind that
// answer names. All is JSON but a BroadcastAck. The error is [ErrMessage], and
// dst is returned unchanged with it.
func AppendClassicResponse(dst []byte, m *Message, answer ClassicAnswer) ([]byte, error) {
	if answer == ClassicDone {
		return appendClassicDone(dst, m)
	}
	if err := m.prepare(); err != nil {
		return dst, err
	}
	if !answer.takes(m.Kind) {
		return dst, errKind
	}
	w := writerOf(dst, m, m.Kind == BroadcastAck, msgpack.Notepack3)
	switch answer {
	case ClassicSockets, ClassicRooms, ClassicFetch:
		w.open(2)
		w.request(m)
		w.classicSockets(m.Sockets, answer)
	case ClassicEvent:
		w.classicAnswer(m, classicEvent, "data")
	default:
		if m.Kind == BroadcastAck {
			w.classicAnswer(m, classicAck, "packet")
			break
		}
		w.open(3)
		w.key("type")
		w.uint(classicCount)
		w.request(m)
		w.key("clientCount")
		w.uint(uint64(m.Count))
	}
	w.close()
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// takes says whether messages of the kind are this answer.
func (a ClassicAnswer) takes(k Kind) bool {
	switch a {
	case ClassicSockets, ClassicRooms, ClassicFetch:
		return k == FetchSocketsResponse
	case ClassicEvent:
		return k == ServerSideEmitResponse
	case ClassicAcks:
		return k == BroadcastClientCount || k == BroadcastAck
	}
	return false
}

// appendClassicDone needs no more than the id of the request.
func appendClassicDone(dst []byte, m *Message) ([]byte, error) {
	if m.RequestID == "" {
		return dst, errRequest
	}
	w := writer{dst: dst}
	w.open(1)
	w.request(m)
	w.close()
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// classicAnswer writes an answer of one value, which may be missing.
func (w *writer) classicAnswer(m *Message, typ uint64, name string) {
	text, ok := firstOf(&m.Args)
	w.open(2 + count(ok))
	w.key("type")
	w.uint(typ)
	w.request(m)
	w.optional(name, text, ok, m.Args.Attachments, false)
}

func (w *writer) classicSockets(list []Socket, answer ClassicAnswer) {
	switch answer {
	case ClassicFetch:
		w.key("sockets")
		w.sockets(list)
	case ClassicSockets:
		ids := make([]string, len(list))
		for i := range list {
			ids[i] = list[i].ID
		}
		w.key("sockets")
		w.names(ids)
	default:
		w.key("rooms")
		w.names(roomsOf(list))
	}
}

// roomsOf are the rooms that have one of these sockets, in the order they come.
func roomsOf(list []Socket) (rooms []string) {
	seen := map[string]bool{}
	for i := range list {
		for _, room := range list[i].Rooms {
			if !seen[room] {
				seen[room] = true
				rooms = append(rooms, room)
			}
		}
	}
	return rooms
}

// ParseClassicResponse reads a response on a namespace's channel. The UID of the
// message is empty, as the wire does not tell it: its RequestID tells whether it
// is for this node. To a request for ids, it has Sockets without anything else.
//
// The errors are [ErrMessage], and [ErrIgnored] for answers to what only Node
// asks and for unknown types; the rest is as for [ParseClassicBroadcast].
func ParseClassicResponse(b []byte, namespace string) (*Message, error) {
	v, err := parseAny(b)
	if err != nil {
		return nil, err
	}
	d, ok := v.members()
	if !ok {
		return nil, errShape
	}
	m := &Message{Namespace: namespace}
	if err := m.readRequest(d.requestID); err != nil {
		return nil, err
	}
	if err := m.readResponse(&d); err != nil {
		return nil, err
	}
	return m.finish()
}

func (m *Message) readResponse(d *members) (err error) {
	if d.typ.missing() {
		if d.sockets.missing() {
			return ErrIgnored // rooms, or that one socket joined, left or is gone
		}
		m.Kind = FetchSocketsResponse
		return m.readSockets(d.sockets, true)
	}
	typ, ok := d.typ.number()
	if !ok {
		return errType
	}
	switch typ {
	case classicEvent:
		m.Kind = ServerSideEmitResponse
		m.Args, err = d.data.wrapped()
		return err
	case classicCount:
		m.Kind = BroadcastClientCount
	case classicAck:
		m.Kind = BroadcastAck
	default:
		return ErrIgnored
	}
	return m.readMembers(d)
}
