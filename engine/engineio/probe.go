package engineio

import "github.com/fe4bcecb/wsd/engine"

// probe lets a WebSocket try to take the session over. engine.io-protocol:
// upgrade.
func (s *Session) probe(o *opened) {
	if s.closed || s.poll == nil || s.poll.probe != nil || s.lane.srv.opts.DisableUpgrades {
		o.hangUp(silently)
		return
	}
	s.poll.probe = o
	s.poll.probeDue = s.lane.after(s.lane.srv.opts.UpgradeTimeout)
	if !s.poll.probeListed {
		s.poll.probeListed = true
		s.lane.probes = append(s.lane.probes, s)
	}
}

// probeSaid handles a packet on a WebSocket that tries to take over.
func (s *Session) probeSaid(o *opened, msg []byte, op engine.OpCode) {
	if s.poll == nil || s.poll.probe != o {
		return
	}
	switch text := string(msg); {
	case op == engine.Text && text == "2probe":
		send(o.conn, []byte("3probe"), engine.Text)
		s.poll.probed = true
		// The client waits for its GET to return, and so for every one that comes
		// until the upgrade has ended.
		s.flushPoll()
		s.answer(noopPacket)
	case op == engine.Text && text == "5":
		s.takeOver(o)
	default:
		s.dropProbe()
	}
}

// dropProbe ends an attempt to take over; the session goes on polling.
func (s *Session) dropProbe() {
	if o := s.poll.probe; o != nil {
		s.poll.probe, s.poll.probed = nil, false
		o.hangUp(silently)
	}
}

// takeOver moves the session to its WebSocket, with what waits. One that was
// closed meanwhile ends there.
func (s *Session) takeOver(o *opened) {
	p := s.poll
	s.answer(closePacket)
	s.poll = nil
	s.conn = o.conn
	s.base64 = o.params.b64 != ""
	if !s.closed {
		s.onSocket.Store(true)
		s.lane.sockets.Add(1)
		s.lane.upgraded.Add(1)
		s.conn.SetUserData(s)
		if s.pinged {
			s.heard() // the pong was due to the transport that is gone
		}
	}
	for i := range p.queue {
		x := &p.queue[i]
		s.sendFrame(x.data, x.binary, x.compress)
	}
	if s.closed {
		hangUp(s.conn, p.end)
		s.lane.srv.unregister(s)
	}
}
