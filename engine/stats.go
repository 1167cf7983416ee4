package engine

import "time"

// LoopStats are one loop's counters since it began.
type LoopStats struct {
	Sockets            int    // on the loop now
	Accepted           uint64 // sockets
	Opened             uint64 // WebSocket connections
	HandedOver         uint64 // connections that went to net/http
	HTTPRefused        uint64 // likewise, beyond MaxHTTP
	MessagesIn         uint64
	BinaryIn           uint64 // of MessagesIn
	FramesOut          uint64 // data and control frames that were sent or queued
	BytesIn            uint64 // on the wire
	BytesOut           uint64 // of FramesOut, headers included
	Published          uint64 // messages published on this loop
	Dropped            uint64 // messages dropped for backpressure
	ControlDropped     uint64 // pings and pongs dropped for backpressure
	BackpressureEvents uint64 // times that a reader became slow
	MailDropped        uint64 // publications from elsewhere that found the mailbox full
	Panics             uint64 // callbacks that panicked
	AcceptPauses       uint64 // times that accepting failed, for want of descriptors mostly
	OpenedLayered      uint64 // of Opened: see Behavior.Layered
	Drained            uint64 // times that a slow reader has taken all that waited
	// Slow are connections whose reader is slow, Buffered the bytes that wait for
	// readers, Subscriptions those to topics: now, not since the loop began.
	Slow, Buffered, Subscriptions int
	// Closed counts ended connections by cause.
	Closed [closeCauses]uint64
	// Ended counts those that had been open.
	Ended Ends
	// FramesByOp are FramesOut by opcode: Text and Binary count messages.
	FramesByOp [opMask + 1]uint64
	// LayeredIn are of MessagesIn, LayeredOut of FramesByOp: see Behavior.Layered.
	LayeredIn, LayeredOut Layered
	// Deflated are messages before and after compression, Inflated received ones
	// before and after inflation. What was prepared for many is not among them.
	Deflated, Inflated Sizes

	// Turns are how long iterations took, from readiness to the end of their work,
	// and Busy the last second's share of time in them.
	Turns Histogram
	Busy  float64
	// Handshakes are the times from accepting to opening, those of layered
	// connections apart; Lives how long connections that are none were open; RTT
	// how long pongs took to the loop's pings. See HandshakeBounds, LifeBounds and
	// RTTBounds.
	Handshakes [2]Histogram
	Lives, RTT Histogram
	// Fanout are the subscribers on all loops that publications on this loop had.
	Fanout Histogram
	// Delivery are the times from a publication, or its arrival from another node
	// or loop, until it was handed to the last subscriber of a loop: one of many.
	// See TurnBounds.
	Delivery Histogram
}

// Sizes are bytes before and after coding.
type Sizes struct{ In, Out uint64 }

// opMask makes an opcode an index that needs no check.
const opMask = 15

// opOf is the opcode of a frame.
func opOf(b []byte) OpCode { return OpCode(b[0]) }

// sent counts a frame of n bytes.
func (s *LoopStats) sent(op OpCode, n int) {
	s.FramesOut++
	s.FramesByOp[op&opMask]++
	s.BytesOut += uint64(n)
}

// received counts a message, which is Text (1) or Binary (2).
func (s *LoopStats) received(op OpCode) {
	s.MessagesIn++
	s.BinaryIn += uint64(op >> 1)
}

// deflated counts a message of n bytes that was compressed to size.
func (s *LoopStats) deflated(n, size int) {
	s.Deflated.In += uint64(n)
	s.Deflated.Out += uint64(size)
}

// turned counts an iteration.
func (s *LoopStats) turned(took time.Duration) { s.Turns.observe(TurnBounds, uint64(took)) }

// Stats is a snapshot of an App.
type Stats struct {
	Loops []LoopStats
	// Connections are the open WebSocket connections, Sockets all sockets on
	// loops, those in a handshake or closing included.
	Connections, Sockets int
	// Topics have at least one subscriber on this node.
	Topics int
	// Unanswered are the connections that were cut off because the peer did not
	// answer a Close frame in time.
	Unanswered uint64
	// TLSFailed are the TLS handshakes that failed or took too long.
	TLSFailed uint64
	// FDRefused are the connections that were closed because descriptors were short:
	// see Options.KeepDescriptors.
	FDRefused uint64
	// PublishedOutside are the messages that App.Publish sent from other
	// goroutines.
	PublishedOutside uint64
	// FanoutOutside is LoopStats.Fanout of those, and of what other nodes published.
	FanoutOutside Histogram
	// Stale is true when a loop did not answer in time; its counters are of
	// the last snapshot.
	Stale bool
}

// statsWait is how long a loop may take to answer.
const statsWait = 100 * time.Millisecond

// Stats takes a snapshot. It asks each loop, and waits up to 100 ms for a busy
// one; on a loop it doesn't wait for the others. Safe from any goroutine.
func (a *App) Stats() Stats {
	s := Stats{Connections: int(a.count.Load()), PublishedOutside: a.published.Load(), Unanswered: a.unanswered.Load(), TLSFailed: a.tlsFailed.Load(), FDRefused: a.fdRefused.Load()}
	if !a.started.Load() {
		return s
	}
	s.FanoutOutside = a.fanout.Snapshot()
	a.topics.mu.RLock()
	s.Topics = len(a.topics.topics)
	a.topics.mu.RUnlock()
	here := a.onLoop()
	var answers []<-chan struct{}
	for _, l := range a.loops {
		s.Sockets += int(l.load.Load())
		if l == here {
			l.snap()
		} else if answer := l.askSnap(); answer != nil {
			answers = append(answers, answer)
		}
	}
	if here == nil {
		s.Stale = !await(answers)
	} else {
		s.Stale = len(answers) > 0
	}
	for _, l := range a.loops {
		s.Loops = append(s.Loops, l.snapshot())
	}
	return s
}

// await waits for all answers, but not long.
func await(answers []<-chan struct{}) bool {
	late := time.NewTimer(statsWait)
	defer late.Stop()
	for _, answer := range answers {
		select {
		case <-answer:
		case <-late.C:
			return false
		}
	}
	return true
}

// askSnap has the loop call snap, and returns what is closed then; nil when the
// loop has ended. However many ask, a loop that hangs is asked once.
func (l *Loop) askSnap() <-chan struct{} {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	if l.snapping == nil {
		done := make(chan struct{})
		if !l.post(func() { l.snap(); close(done) }) {
			return nil
		}
		l.snapping = done
	}
	return l.snapping
}

// snap copies the loop's counters to where other goroutines may read them.
func (l *Loop) snap() {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	l.lastSnap, l.snapping = l.stats, nil
}

func (l *Loop) snapshot() LoopStats {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	s := l.lastSnap
	s.Sockets = int(l.load.Load())
	l.mail.mu.Lock()
	defer l.mail.mu.Unlock()
	s.MailDropped = l.mail.lost
	return s
}

// Total adds the loops' counters up.
func (s *Stats) Total() LoopStats {
	var t LoopStats
	for i := range s.Loops {
		t.add(&s.Loops[i])
	}
	return t
}

// add adds another loop's counters.
func (s *LoopStats) add(l *LoopStats) {
	s.Accepted += l.Accepted
	s.Opened += l.Opened
	s.OpenedLayered += l.OpenedLayered
	s.HandedOver += l.HandedOver
	s.HTTPRefused += l.HTTPRefused
	s.MessagesIn += l.MessagesIn
	s.BinaryIn += l.BinaryIn
	s.FramesOut += l.FramesOut
	s.BytesIn += l.BytesIn
	s.BytesOut += l.BytesOut
	s.Published += l.Published
	s.Dropped += l.Dropped
	s.ControlDropped += l.ControlDropped
	s.BackpressureEvents += l.BackpressureEvents
	s.Drained += l.Drained
	s.Slow += l.Slow
	s.Buffered += l.Buffered
	s.Subscriptions += l.Subscriptions
	s.MailDropped += l.MailDropped
	s.Panics += l.Panics
	s.AcceptPauses += l.AcceptPauses
	s.Busy += l.Busy
	s.Deflated.add(l.Deflated)
	s.Inflated.add(l.Inflated)
	s.LayeredIn.add(l.LayeredIn)
	s.LayeredOut.add(l.LayeredOut)
	addAll(s.Closed[:], l.Closed[:])
	addAll(s.FramesByOp[:], l.FramesByOp[:])
	for by := range l.Ended {
		addAll(s.Ended[by][:], l.Ended[by][:])
	}
	s.Turns.Add(&l.Turns)
	for kind := range l.Handshakes {
		s.Handshakes[kind].Add(&l.Handshakes[kind])
	}
	s.Lives.Add(&l.Lives)
	s.RTT.Add(&l.RTT)
	s.Fanout.Add(&l.Fanout)
	s.Delivery.Add(&l.Delivery)
}

func (s *Sizes) add(other Sizes) {
	s.In += other.In
	s.Out += other.Out
}

func addAll(sum, more []uint64) {
	for i, n := range more {
		sum[i] += n
	}
}
