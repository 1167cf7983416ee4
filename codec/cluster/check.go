package cluster

import "github.com/fe4bcecb/wsd/codec/sio"

// Check returns [ErrMessage] if the message lacks what its kind needs. One
// incomplete message makes Node servers deaf or end them, so nothing is sent
// unchecked; and what arrives is checked before it is delivered.
//
// Names of rooms and the JSON of payloads are not read, only looked at.
func (m *Message) Check() error {
	ok := m.Namespace != ""
	switch m.Kind {
	case Broadcast:
		ok = ok && m.Packet.Type == sio.Event && isArray(m.Packet.Payload.JSON, true)
	case SocketsJoin, SocketsLeave, DisconnectSockets, InitialHeartbeat, Heartbeat, AdapterClose:
	case FetchSockets:
		ok = ok && m.RequestID != ""
	case FetchSocketsResponse:
		ok = ok && m.RequestID != ""
		for i := range m.Sockets {
			ok = ok && m.Sockets[i].ID != ""
		}
	case ServerSideEmit:
		ok = ok && isArray(m.Args.JSON, true)
	case ServerSideEmitResponse, BroadcastAck:
		ok = ok && m.RequestID != "" && isArray(m.Args.JSON, false)
	case BroadcastClientCount:
		ok = ok && m.RequestID != "" && m.Count >= 0
	default:
		ok = false
	}
	if !ok {
		return ErrMessage
	}
	return nil
}

// isArray says whether text can be an array, with something in it if full.
func isArray(text []byte, full bool) bool {
	least := len("[]")
	if full {
		least++
	}
	return len(text) >= least && text[0] == '[' && text[len(text)-1] == ']'
}

// messageSize is about what a message takes in memory without what it points to.
const messageSize = 400

// Size is about how many bytes of memory the message takes, for queues that are
// bounded by it.
func (m *Message) Size() int {
	n := messageSize + len(m.UID) + len(m.Namespace) + len(m.RequestID)
	n += payloadSize(&m.Packet.Payload) + payloadSize(&m.Args)
	n += namesSize(m.Options.Rooms) + namesSize(m.Options.Except) + namesSize(m.Rooms)
	for i := range m.Sockets {
		s := &m.Sockets[i]
		n += messageSize/4 + len(s.ID) + namesSize(s.Rooms) + len(s.Handshake) + len(s.Data)
	}
	return n
}

// headSize is that of a string or slice.
const headSize = 24

func payloadSize(p *sio.Payload) int {
	n := len(p.JSON)
	for _, a := range p.Attachments {
		n += headSize + len(a)
	}
	return n
}

func namesSize(names []string) int {
	n := 0
	for _, s := range names {
		n += headSize + len(s)
	}
	return n
}
