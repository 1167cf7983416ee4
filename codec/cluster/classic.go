package cluster

import (
	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// The classic adapter is @socket.io/redis-adapter 8 with createAdapter. What is
// read here may also come from its versions 7 and 6 and from emitters. Its
// broadcasts are MessagePack, its requests and responses JSON but for those that
// carry packets.

// AppendClassicBroadcast appends a Broadcast that asks for no answers. The error
// is [ErrMessage], and dst is returned unchanged with it. Hot path: per broadcast.
func AppendClassicBroadcast(dst []byte, m *Message) ([]byte, error) {
	if err := m.prepare(); err != nil {
		return dst, err
	}
	if m.Kind != Broadcast || m.RequestID != "" {
		return dst, errKind
	}
	w := writerOf(dst, m, true, msgpack.Notepack3)
	w.list(3)
	w.text(m.UID)
	w.packet(&m.Packet, m.Namespace)
	w.options(&m.Options, true)
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// ParseClassicBroadcast reads a broadcast for a namespace. The message aliases b,
// which nobody may change any more; only its strings have memory of their own.
// Its UID may be empty.
//
// The errors are [ErrMessage], and [ErrIgnored] for other namespaces. Hot path:
// per message.
func ParseClassicBroadcast(b []byte, namespace string) (*Message, error) {
	v, err := parsePacked(b)
	if err != nil {
		return nil, err
	}
	all, ok := v.elements()
	if !ok {
		return nil, errShape
	}
	var parts [3]value // uid, packet, options; more is ignored
	for i := range parts {
		if parts[i], ok = all.next(); !ok {
			return nil, errShape
		}
	}
	m := &Message{Kind: Broadcast, Namespace: namespace}
	m.UID, _ = parts[0].text()
	nsp, err := m.readPacket(parts[1])
	if err != nil {
		return nil, err
	}
	if !nsp.is(namespace) {
		return nil, ErrIgnored
	}
	if err := m.readOptions(parts[2]); err != nil {
		return nil, err
	}
	return m.finish()
}

// is compares the namespace of a packet: a missing one is "/".
func (v value) is(namespace string) bool {
	if len(v.b) == 0 {
		return namespace == "/"
	}
	s, ok := v.text()
	return ok && s == namespace
}

// ClassicAnswer is what a request of the classic adapter wants: its responses do
// not say, and there are more than the vocabulary has.
type ClassicAnswer uint8

// The answers.
const (
	// ClassicNothing wants none.
	ClassicNothing ClassicAnswer = iota
	// ClassicSockets wants the ids of a FetchSocketsResponse's Sockets.
	ClassicSockets
	// ClassicRooms wants the rooms of a FetchSocketsResponse's Sockets, each once.
	ClassicRooms
	// ClassicDone wants the RequestID back if the socket is on this node, and
	// else nothing: a join, leave or disconnect of one socket, by versions 7 and 6.
	ClassicDone
	// ClassicFetch wants a FetchSocketsResponse.
	ClassicFetch
	// ClassicEvent wants a ServerSideEmitResponse.
	ClassicEvent
	// ClassicAcks wants a BroadcastClientCount and BroadcastAcks.
	ClassicAcks
)

// ClassicRequest is a request, in the vocabulary's terms.
type ClassicRequest struct {
	Message *Message
	Answer  ClassicAnswer
}

// AppendClassicRequest appends a message of any kind that is no response, a
// Broadcast only with a RequestID. Binary data in a ServerSideEmit becomes what
// JSON.stringify makes of a Buffer. Nodes of version 8 apply joins, leaves and
// disconnects when their own request comes back to them, and not before.
//
// The error is [ErrMessage], and dst is returned unchanged with it.
func AppendClassicRequest(dst []byte, m *Message) ([]byte, error) {
	if err := m.prepare(); err != nil {
		return dst, err
	}
	w := writerOf(dst, m, m.Kind == Broadcast, msgpack.Notepack3)
	switch m.Kind {
	case Broadcast:
		if m.RequestID == "" {
			return dst, errKind
		}
		w.classicHead(m, classicBroadcast, 2)
		w.key("packet")
		w.packet(&m.Packet, m.Namespace)
		w.key("opts")
		w.options(&m.Options, true)
	case SocketsJoin, SocketsLeave:
		typ := classicJoin
		if m.Kind == SocketsLeave {
			typ = classicLeave
		}
		w.classicHead(m, typ, 2)
		w.key("opts")
		w.options(&m.Options, false)
		w.key("rooms")
		w.names(m.Rooms)
	case DisconnectSockets:
		w.classicHead(m, classicDisconnect, 2)
		w.key("opts")
		w.options(&m.Options, false)
		w.key("close")
		w.bool(m.Close)
	case FetchSockets:
		w.classicHead(m, classicFetch, 1)
		w.key("opts")
		w.options(&m.Options, false)
	case ServerSideEmit:
		w.classicHead(m, classicEvent, 1)
		w.key("data")
		w.json(m.Args.JSON, m.Args.Attachments)
	default:
		return dst, errKind
	}
	w.close()
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// classicHead starts a request with n more members. Without a UID, as from an
// emitter, it says none.
func (w *writer) classicHead(m *Message, typ, n int) {
	w.open(n + 1 + count(m.UID != "") + count(m.RequestID != ""))
	if m.UID != "" {
		w.key("uid")
		w.text(m.UID)
	}
	if m.RequestID != "" {
		w.request(m)
	}
	w.key("type")
	w.uint(uint64(typ))
}

// ParseClassicRequest reads a request on a namespace's channel. Its message may
// have no UID. The errors are [ErrMessage], and [ErrIgnored] for unknown types;
// the rest is as for [ParseClassicBroadcast].
func ParseClassicRequest(b []byte, namespace string) (ClassicRequest, error) {
	v, err := parseAny(b)
	if err != nil {
		return ClassicRequest{}, err
	}
	d, ok := v.members()
	if !ok {
		return ClassicRequest{}, errShape
	}
	f, ok := d.typ.number()
	if !ok {
		return ClassicRequest{}, errType
	}
	r := ClassicRequest{Message: &Message{Namespace: namespace}}
	r.Message.UID, _ = d.uid.text()
	if err := r.read(f, &d); err != nil {
		return ClassicRequest{}, err
	}
	return r, nil
}

func (r *ClassicRequest) read(typ float64, d *members) (err error) {
	m := r.Message
	if err := m.readRequest(d.requestID); err != nil {
		return err
	}
	switch typ {
	case classicSockets:
		m.Kind, r.Answer = FetchSockets, ClassicSockets
		m.Options.Rooms, err = d.rooms.names()
	case classicRooms:
		m.Kind, r.Answer = FetchSockets, ClassicRooms
	case classicJoin:
		m.Kind = SocketsJoin
		err = r.readSockets(d)
	case classicLeave:
		m.Kind = SocketsLeave
		err = r.readSockets(d)
	case classicDisconnect:
		m.Kind = DisconnectSockets
		err = r.readSockets(d)
	case classicFetch:
		m.Kind, r.Answer = FetchSockets, ClassicFetch
		err = m.readOptions(d.opts)
	case classicEvent:
		m.Kind = ServerSideEmit
		if m.RequestID != "" {
			r.Answer = ClassicEvent
		}
		m.Args, err = d.data.list()
	case classicBroadcast:
		m.Kind = Broadcast
		if m.RequestID != "" {
			r.Answer = ClassicAcks
		}
		if _, err = m.readPacket(d.packet); err == nil {
			err = m.readOptions(d.opts)
		}
	default:
		return ErrIgnored
	}
	if err != nil {
		return err
	}
	_, err = m.finish()
	return err
}

// readSockets reads which sockets join, leave or are disconnected: those of
// options, or one by its id, whose node answers.
func (r *ClassicRequest) readSockets(d *members) (err error) {
	m := r.Message
	m.Close = d.close.truthy() && m.Kind == DisconnectSockets
	if !d.opts.missing() {
		if m.Kind != DisconnectSockets {
			if m.Rooms, err = d.rooms.names(); err != nil {
				return err
			}
		}
		return m.readOptions(d.opts)
	}
	sid, ok := d.sid.text()
	if !ok || sid == "" {
		return errOptions
	}
	m.Options.Rooms = []string{sid}
	if m.Kind != DisconnectSockets {
		room, ok := d.room.name()
		if !ok {
			return errName
		}
		m.Rooms = []string{room}
	}
	if m.RequestID != "" {
		r.Answer = ClassicDone
	}
	return nil
}
