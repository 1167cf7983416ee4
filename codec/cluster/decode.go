package cluster

import (
	"math"

	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// finish checks a message that was read: what would make clients close their
// connections must not reach them.
func (m *Message) finish() (*Message, error) {
	if err := m.Check(); err != nil {
		return nil, err
	}
	switch m.Kind {
	case Broadcast:
		if err := checkEvent(m.Packet.Payload.JSON, sio.IsReserved); err != nil {
			return nil, err
		}
	case ServerSideEmit:
		if err := checkEvent(m.Args.JSON, reservedServerSide); err != nil {
			return nil, err
		}
		m.Args.JSON = textName(m.Args.JSON)
	}
	return m, nil
}

// textName returns an event with its name as text if it is a number: events
// between servers go by names.
func textName(list []byte) []byte {
	start := jsontext.SkipSpace(list, 1)
	if !jsontext.IsNumber(list[start]) {
		return list
	}
	end := jsontext.Next(list, start)
	name, ok := value{b: list[start:end]}.name()
	if !ok {
		name = "Infinity"
	}
	dst := append(make([]byte, 0, len(list)+2), '[')
	return append(jsontext.AppendQuoted(dst, name), list[end:]...)
}

// read reads the data of a message, whose kind is known.
func (m *Message) read(data value) error {
	d, ok := data.members()
	if !ok {
		return errShape
	}
	return m.readMembers(&d)
}

func (m *Message) readMembers(d *members) (err error) {
	if err := m.readRequest(d.requestID); err != nil {
		return err
	}
	switch m.Kind {
	case Broadcast:
		if _, err = m.readPacket(d.packet); err != nil {
			return err
		}
		return m.readOptions(d.opts)
	case SocketsJoin, SocketsLeave:
		if m.Rooms, err = d.rooms.names(); err != nil {
			return err
		}
		return m.readOptions(d.opts)
	case DisconnectSockets:
		m.Close = d.close.truthy()
		return m.readOptions(d.opts)
	case FetchSockets:
		return m.readOptions(d.opts)
	case FetchSocketsResponse:
		return m.readSockets(d.sockets)
	case ServerSideEmit:
		m.Args, err = d.packet.list()
		return err
	case ServerSideEmitResponse, BroadcastAck:
		m.Args, err = d.packet.wrapped()
		return err
	case BroadcastClientCount:
		n, ok := d.clientCount.whole()
		if !ok || n > math.MaxInt32 {
			return errCount
		}
		m.Count = int(n)
	}
	return nil
}

// readRequest reads the id of a request. Node takes null for an id that nobody
// asked with: here it is none.
func (m *Message) readRequest(v value) error {
	if v.missing() {
		return nil
	}
	var ok bool
	if m.RequestID, ok = v.text(); !ok {
		return errRequest
	}
	return nil
}

// readPacket reads a packet, and returns its namespace.
func (m *Message) readPacket(v value) (nsp value, err error) {
	p, ok := v.members()
	if !ok {
		return value{}, errPacket
	}
	if n, ok := p.typ.whole(); !ok || n != eventType {
		return value{}, errPacket
	}
	m.Packet.Type = sio.Event
	if !p.id.missing() {
		if m.Packet.ID, m.Packet.HasID = p.id.whole(); !m.Packet.HasID {
			return value{}, errPacket
		}
	}
	m.Packet.Payload, err = p.data.list()
	return p.nsp, err
}

// readOptions reads options, of which any may be missing: old emitters leave
// some out.
func (m *Message) readOptions(v value) (err error) {
	o, ok := v.members()
	if !ok {
		return errOptions
	}
	if m.Options.Rooms, err = o.rooms.names(); err != nil {
		return err
	}
	if m.Options.Except, err = o.except.names(); err != nil {
		return err
	}
	f, ok := o.flags.members()
	if !ok {
		return nil
	}
	flags := &m.Options.Flags
	flags.Volatile = f.volatile.truthy()
	flags.ExpectSingleResponse = f.single.truthy()
	if compress, ok := f.compress.bool(); ok {
		flags.Compress = &compress
	}
	if ms, ok := f.timeout.number(); ok && ms > 0 {
		flags.Timeout = int64(math.Ceil(min(ms, maxTimeout)))
	}
	return nil
}

// maxTimeout is the longest timeout in milliseconds: beyond it Node's timers end
// at once.
const maxTimeout = math.MaxInt32

func (m *Message) readSockets(v value) error {
	ok, err := v.elements(func(e value) error {
		s, err := readSocket(e)
		if err != nil {
			return err
		}
		m.Sockets = append(m.Sockets, s)
		return nil
	})
	if !ok {
		return errSockets
	}
	return err
}

func readSocket(v value) (s Socket, err error) {
	d, ok := v.members()
	if !ok {
		return s, errSockets
	}
	if s.ID, ok = d.id.text(); !ok {
		return s, errSockets
	}
	if s.Rooms, err = d.rooms.names(); err != nil {
		return s, err
	}
	if s.Handshake, err = d.handshake.object(); err != nil {
		return s, err
	}
	s.Data, err = d.data.object()
	return s, err
}

// object reads JSON that may be left out: an empty object then.
func (v value) object() ([]byte, error) {
	if len(v.b) == 0 {
		return emptyObject, nil
	}
	return v.plain()
}
