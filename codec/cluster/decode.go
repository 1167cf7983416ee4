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
		if err := checkEvent(m.Packet.Payload.JSON, toClients); err != nil {
			return nil, err
		}
	case ServerSideEmit:
		if err := checkEvent(m.Args.JSON, toServers); err != nil {
			return nil, err
		}
		if err := m.nameAsText(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// nameAsText makes the name of an event between servers text if it is a number:
// what listens to it goes by names.
func (m *Message) nameAsText() error {
	list := m.Args.JSON
	start := jsontext.SkipSpace(list, 1)
	if !jsontext.IsNumber(list[start]) {
		return nil
	}
	end := jsontext.Next(list, start)
	name, ok := value{b: list[start:end]}.name()
	if !ok {
		return errEvent
	}
	dst := append(make([]byte, 0, len(list)+len(`""`)+len(name)), '[')
	m.Args.JSON = append(jsontext.AppendQuoted(dst, name), list[end:]...)
	return nil
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
		return m.readSockets(d.sockets, false)
	case ServerSideEmit:
		m.Args, err = d.packet.list()
		return err
	case ServerSideEmitResponse, BroadcastAck:
		m.Args, err = d.packet.wrapped()
		return err
	case BroadcastClientCount:
		n, ok := d.clientCount.whole()
		if !ok || n > maxCount {
			return errCount
		}
		m.Count = int(n)
	}
	return nil
}

// maxCount is more clients than a node has.
const maxCount = math.MaxInt32

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
	if said, ok := f.compress.bool(); ok {
		compress := said // escapes in this case only
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

// readSockets reads sockets, or where ids is true their ids alone.
func (m *Message) readSockets(v value, ids bool) error {
	all, ok := v.elements()
	if !ok {
		return errSockets
	}
	for {
		e, ok := all.next()
		if !ok {
			return nil
		}
		s, err := readSocket(e, ids)
		if err != nil {
			return err
		}
		m.Sockets = append(m.Sockets, s)
	}
}

func readSocket(v value, ids bool) (s Socket, err error) {
	if id, ok := v.text(); ok && ids {
		return Socket{ID: id, Handshake: emptyObject, Data: emptyObject}, nil
	}
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
