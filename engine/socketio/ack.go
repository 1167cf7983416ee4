package socketio

import (
	"slices"

	"github.com/fe4bcecb/wsd/codec/sio"
)

// pendingAck is an acknowledgement that a client owes.
type pendingAck struct {
	id uint64
	fn func(args []sio.Value, err error)
}

// awaitAck has fn called on the loop when the client acknowledges an id, or can
// no longer. The arguments are valid until it returns. Call on the loop.
func (s *Socket) awaitAck(id uint64, fn func([]sio.Value, error)) {
	if s.over.Load() {
		fn(nil, ErrDisconnected)
		return
	}
	s.acks = append(s.acks, pendingAck{id, fn})
}

// forgetAck ends that. It reports whether the acknowledgement was due. Call on
// the loop.
func (s *Socket) forgetAck(id uint64) bool {
	i := slices.IndexFunc(s.acks, func(a pendingAck) bool { return a.id == id })
	if i < 0 {
		return false
	}
	s.acks = slices.Delete(s.acks, i, i+1)
	return true
}

// receiveAck handles an Ack packet. One that nobody waits for is ignored, as with
// Node.
func (s *Socket) receiveAck(p *sio.Packet) {
	i := slices.IndexFunc(s.acks, func(a pendingAck) bool { return a.id == p.ID })
	if i < 0 || !p.HasID {
		return
	}
	fn := s.acks[i].fn
	s.acks = slices.Delete(s.acks, i, i+1)
	if len(s.acks) == 0 {
		s.acks = nil
	}
	s.nsp.server.acked.Add(1)
	fn(p.Args(nil), nil)
}
