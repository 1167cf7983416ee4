package cluster

import "github.com/fe4bcecb/wsd/codec/msgpack"

// prepare checks what is going to be sent: what one node's mistake would do to
// all Node servers is in the documentation of the package.
func (m *Message) prepare() error {
	if err := m.Check(); err != nil {
		return err
	}
	switch m.Kind {
	case Broadcast:
		if m.Packet.HasID && m.Packet.ID > maxWhole {
			return errPacket
		}
		return checkEvent(m.Packet.Payload.JSON, toClients)
	case ServerSideEmit:
		return checkEvent(m.Args.JSON, sentToServers)
	case BroadcastClientCount:
		if m.Count > maxCount {
			return errCount
		}
	}
	return nil
}

// hasBinary says whether MessagePack has to carry the message where JSON is the
// rule.
func (m *Message) hasBinary() bool {
	return len(m.Packet.Payload.Attachments) > 0 || len(m.Args.Attachments) > 0
}

// writerOf returns a writer with room for the message behind dst.
func writerOf(dst []byte, m *Message, packed bool, d msgpack.Dialect) writer {
	const head = 160 // names of members, two ids
	if n := len(dst) + m.Size() - messageSize + head; n > cap(dst) {
		dst = append(make([]byte, 0, n), dst...)
	}
	return writer{dst: dst, packed: packed, dialect: d}
}

// data writes what the ClusterAdapter calls a message's data. Heartbeats have
// none. explicit says whether undefined is written, as null.
func (w *writer) data(m *Message, explicit bool) {
	switch m.Kind {
	case Broadcast:
		w.broadcast(m)
	case SocketsJoin, SocketsLeave:
		w.open(2)
		w.key("opts")
		w.options(&m.Options, true)
		w.key("rooms")
		w.names(m.Rooms)
		w.close()
	case DisconnectSockets:
		w.open(2)
		w.key("opts")
		w.options(&m.Options, true)
		w.key("close")
		w.bool(m.Close)
		w.close()
	case FetchSockets:
		w.open(2)
		w.key("opts")
		w.options(&m.Options, true)
		w.request(m)
		w.close()
	case FetchSocketsResponse:
		w.open(2)
		w.request(m)
		w.key("sockets")
		w.sockets(m.Sockets)
		w.close()
	case ServerSideEmit:
		w.open(1 + count(m.RequestID != ""))
		if m.RequestID != "" {
			w.request(m)
		}
		w.key("packet")
		w.json(m.Args.JSON, m.Args.Attachments)
		w.close()
	case BroadcastClientCount:
		w.open(2)
		w.request(m)
		w.key("clientCount")
		w.uint(uint64(m.Count))
		w.close()
	case ServerSideEmitResponse, BroadcastAck:
		w.answer(m, "packet", explicit)
	}
}

func (w *writer) broadcast(m *Message) {
	w.open(2 + count(m.RequestID != ""))
	w.key("packet")
	w.packet(&m.Packet, "")
	if m.RequestID != "" {
		w.request(m)
	}
	w.key("opts")
	w.options(&m.Options, true)
	w.close()
}

func (w *writer) request(m *Message) {
	w.key("requestId")
	w.text(m.RequestID)
}

// answer writes the id of a request and its one answer, which may be missing.
func (w *writer) answer(m *Message, name string, explicit bool) {
	text, ok := firstOf(&m.Args)
	w.open(1 + count(ok || explicit))
	w.request(m)
	w.optional(name, text, ok, m.Args.Attachments, explicit)
	w.close()
}

func (w *writer) optional(name string, text []byte, ok bool, attachments [][]byte, explicit bool) {
	switch {
	case ok:
		w.key(name)
		w.json(text, attachments)
	case explicit:
		w.key(name)
		w.json(null, nil)
	}
}

var null = []byte("null")

// packet writes a packet, with its namespace if there is one.
func (w *writer) packet(p *Packet, namespace string) {
	w.open(2 + count(p.HasID) + count(namespace != ""))
	w.key("type")
	w.uint(eventType)
	w.key("data")
	w.json(p.Payload.JSON, p.Payload.Attachments)
	if p.HasID {
		w.key("id")
		w.uint(p.ID)
	}
	if namespace != "" {
		w.key("nsp")
		w.text(namespace)
	}
	w.close()
}

// options writes all options, or without flags, which the classic adapter's
// requests do not have.
func (w *writer) options(o *Options, flags bool) {
	w.open(2 + count(flags))
	w.key("rooms")
	w.names(o.Rooms)
	w.key("except")
	w.names(o.Except)
	if flags {
		w.key("flags")
		w.flags(&o.Flags)
	}
	w.close()
}

func (w *writer) flags(f *Flags) {
	w.open(count(f.ExpectSingleResponse) + count(f.Volatile) + count(f.Compress != nil) + count(f.Timeout > 0))
	if f.ExpectSingleResponse {
		w.key("expectSingleResponse")
		w.bool(true)
	}
	if f.Volatile {
		w.key("volatile")
		w.bool(true)
	}
	if f.Compress != nil {
		w.key("compress")
		w.bool(*f.Compress)
	}
	if f.Timeout > 0 {
		w.key("timeout")
		w.uint(uint64(f.Timeout))
	}
	w.close()
}

func (w *writer) sockets(list []Socket) {
	w.list(len(list))
	for i := range list {
		s := &list[i]
		w.element(i)
		w.open(4)
		w.key("id")
		w.text(s.ID)
		w.key("handshake")
		w.object(s.Handshake)
		w.key("rooms")
		w.names(s.Rooms)
		w.key("data")
		w.object(s.Data)
		w.close()
	}
	w.endList()
}

// object writes JSON that may be left out: an empty object then.
func (w *writer) object(text []byte) {
	if len(text) == 0 {
		text = emptyObject
	}
	w.json(text, nil)
}

var emptyObject = []byte("{}")

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
