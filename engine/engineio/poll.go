package engineio

import (
	"bytes"
	"net/http"
	"time"

	"github.com/fe4bcecb/wsd/codec/eio"
)

const (
	// farewell is how long the end of a closed session waits for its poller.
	farewell = 30 * time.Second
	// maxFarewells bounds the closed sessions of a loop that have something left for
	// their pollers. They count for no limit of sessions any more, and a client whose
	// packets end its sessions could leave any number behind.
	maxFarewells = 4096
	// maxKeptQueue bounds the room that an empty queue keeps, in items.
	maxKeptQueue = 64
	// itemCost is what a packet that waits costs beside its bytes.
	itemCost = 48
)

var (
	closePacket = []byte("1")
	noopPacket  = []byte("6")
	lastPackets = []byte("6\x1e1") // to a poller that comes back to a closed session
)

// poll is the part of a session that polls. It is touched on the loop.
//
// A session that was closed keeps it until its poller, or the WebSocket that was
// about to take over, has got what waited and the news of the end.
type poll struct {
	get    *parked // the GET that waits for something to send
	post   *post   // the POST that is being read
	queue  []item
	bytes  int  // in the queue, itemCost included
	listed bool // in lane.parked

	probe       *opened // the WebSocket that may take over; see probe.go
	probed      bool    // it was asked whether it works: GETs are sent home
	probeListed bool    // in lane.probes
	probeDue    uint32

	end   ending // of a closed session
	until uint32 // when to give the poller up
}

// item is a packet that waits: text with its type, or a binary message.
type item struct {
	data     []byte
	binary   bool
	compress bool
}

// parked is a GET, from its arrival to its answer.
type parked struct{ answer chan answer }

func newParked() *parked { return &parked{answer: make(chan answer, 1)} }

// hold keeps a GET until there is something to answer.
func (s *Session) hold(g *parked) {
	s.poll.get = g
	s.lane.held.Add(1)
}

// release is the GET that is held, to be answered, or nil.
func (s *Session) release() *parked {
	g := s.poll.get
	if g != nil {
		s.poll.get = nil
		s.lane.held.Add(-1)
	}
	return g
}

// park takes a GET.
func (s *Session) park(g *parked) {
	p := s.poll
	switch {
	case p == nil && !s.closed:
		g.answer <- answer{refused: refuseRequest}
	case p == nil:
		g.answer <- answer{refused: refuseSID}
	case p.get != nil:
		g.answer <- answer{status: http.StatusBadRequest}
		s.end(TransportError, "overlap from client")
		if s.poll != nil { // it had ended before
			s.bury()
		}
	case s.closed && len(p.queue) == 0:
		g.answer <- answer{body: s.payloadOf(lastPackets)}
		s.bury()
	default:
		s.hold(g)
		s.lane.polls.Add(1)
		if len(p.queue) > 0 {
			s.flushPoll()
		} else if p.probed {
			s.answer(noopPacket)
		}
	}
}

// unpark hears that the client of a GET has gone.
func (s *Session) unpark(g *parked) {
	if s.poll != nil && s.poll.get == g {
		s.release()
		s.end(TransportError, "poll connection closed prematurely")
		if s.poll != nil { // it had ended before
			s.bury()
		}
	}
}

// answer gives the parked GET, if there is one, a payload.
func (s *Session) answer(body []byte) {
	if g := s.release(); g != nil {
		g.answer <- answer{body: s.payloadOf(body)}
	}
}

// payloadOf is a payload of one or more short text packets.
func (s *Session) payloadOf(body []byte) []byte {
	if s.revision == 4 {
		return body
	}
	var packets []eio.Packet
	for text := range bytes.SplitSeq(body, []byte{eio.Separator}) {
		packets = append(packets, packetOf(text))
	}
	body, _ = eio.AppendPayloadV3(nil, packets, true)
	return body
}

// packetOf is a text packet of the server's own.
func packetOf(text []byte) eio.Packet {
	return eio.Packet{Type: eio.Type(text[0] - '0'), Data: text[1:]}
}

// enqueue queues a packet that nobody will change.
func (s *Session) enqueue(x item) {
	p := s.poll
	if p == nil || s.closed {
		return
	}
	if p.bytes+len(x.data)+itemCost > s.lane.srv.opts.MaxBackpressure && len(p.queue) > 0 {
		s.lane.slow.Add(1)
		s.end(TransportError, tooSlow)
		return
	}
	p.queue = append(p.queue, x)
	p.bytes += len(x.data) + itemCost
	if p.get != nil {
		s.lane.flushLater(s)
	}
}

// flushPoll answers the parked GET with what is queued.
func (s *Session) flushPoll() {
	p := s.poll
	if p.get == nil || len(p.queue) == 0 {
		return
	}
	var a answer
	if s.revision == 4 {
		a.body = s.payload4()
	} else {
		a.body, a.binary = s.payload3()
	}
	for i := range p.queue {
		a.compress = a.compress || p.queue[i].compress
	}
	clear(p.queue)
	if p.queue = p.queue[:0]; cap(p.queue) > maxKeptQueue {
		p.queue = nil
	}
	p.bytes = 0
	s.lane.bytesOut.Add(uint64(len(a.body)))
	s.release().answer <- a
}

// payload4 is what is queued as a payload of revision 4.
func (s *Session) payload4() []byte {
	n := 0
	for i := range s.poll.queue {
		x := &s.poll.queue[i]
		n++
		if x.binary {
			n += eio.BinaryLen(len(x.data))
		} else {
			n += len(x.data)
		}
	}
	body := make([]byte, 0, n)
	for i := range s.poll.queue {
		x := &s.poll.queue[i]
		if i > 0 {
			body = append(body, eio.Separator)
		}
		if x.binary {
			body = eio.AppendBinary(body, x.data)
		} else {
			body = append(body, x.data...)
		}
	}
	return body
}

// payload3 is what is queued as a payload of revision 3: binary, when there is
// binary in it and the client takes that.
func (s *Session) payload3() (body []byte, binary bool) {
	packets := make([]eio.Packet, len(s.poll.queue))
	for i, x := range s.poll.queue {
		if x.binary {
			packets[i] = eio.Packet{Type: eio.Message, Binary: true, Data: x.data}
		} else {
			packets[i] = packetOf(x.data)
		}
	}
	return eio.AppendPayloadV3(nil, packets, s.base64)
}

// retire leaves a closed session to its poller, who has yet to get what waits
// and the end. engine.io: close.
func (s *Session) retire(e ending) {
	p := s.poll
	if p.get != nil && len(p.queue) == 0 {
		s.answer(closePacket)
		s.bury()
		return
	}
	s.flushPoll()
	p.end = e
	p.until = s.lane.after(farewell)
	s.lane.mourn(s)
}

// bury forgets the poller of a closed session.
func (s *Session) bury() {
	s.lane.srv.unregister(s)
	s.dropProbe()
	s.answer(closePacket)
	s.poll = nil
}

// closedByPoller handles a close packet.
func (s *Session) closedByPoller() {
	s.answer(noopPacket)
	s.ended(TransportClose, "")
	s.bury()
}
