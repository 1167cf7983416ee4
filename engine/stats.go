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
	FramesOut          uint64 // data and control frames that were sent or queued
	BytesIn            uint64 // on the wire
	BytesOut           uint64 // of FramesOut, headers included
	Published          uint64 // messages published on this loop
	Dropped            uint64 // messages dropped for backpressure
	ControlDropped     uint64 // pings and pongs dropped for backpressure
	BackpressureEvents uint64 // times that a reader became slow
	MailDropped        uint64 // publications from elsewhere that found the mailbox full
	Panics             uint64 // callbacks that panicked
	AcceptPauses       uint64 // times that descriptors ran out
	// Closed counts ended connections by cause.
	Closed [closeCauses]uint64
}

// sent counts a frame of n bytes.
func (s *LoopStats) sent(n int) {
	s.FramesOut++
	s.BytesOut += uint64(n)
}

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
	// PublishedOutside are the messages that App.Publish sent from other
	// goroutines.
	PublishedOutside uint64
	// Stale is true when a loop did not answer in time; its counters are of
	// the last snapshot.
	Stale bool
}

// statsWait is how long a loop may take to answer.
const statsWait = 100 * time.Millisecond

// Stats takes a snapshot. It asks each loop, and waits up to 100 ms for a busy
// one; on a loop it doesn't wait for the others. Safe from any goroutine.
func (a *App) Stats() Stats {
	s := Stats{Connections: int(a.count.Load()), PublishedOutside: a.published.Load(), Unanswered: a.unanswered.Load()}
	if !a.started.Load() {
		return s
	}
	a.topics.mu.RLock()
	s.Topics = len(a.topics.topics)
	a.topics.mu.RUnlock()
	here := a.onLoop()
	answers := make(chan struct{}, len(a.loops))
	asked := 0
	for _, l := range a.loops {
		s.Sockets += int(l.load.Load())
		switch {
		case l == here:
			l.snap()
		case l.post(func() { l.snap(); answers <- struct{}{} }):
			asked++
		}
	}
	if here == nil {
		s.Stale = !await(answers, asked)
	} else {
		s.Stale = asked > 0
	}
	for _, l := range a.loops {
		s.Loops = append(s.Loops, l.snapshot())
	}
	return s
}

// await waits for n answers, but not long.
func await(answers <-chan struct{}, n int) bool {
	late := time.NewTimer(statsWait)
	defer late.Stop()
	for range n {
		select {
		case <-answers:
		case <-late.C:
			return false
		}
	}
	return true
}

// snap copies the loop's counters to where other goroutines may read them.
func (l *Loop) snap() {
	l.snapMu.Lock()
	defer l.snapMu.Unlock()
	l.lastSnap = l.stats
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
		l := &s.Loops[i]
		t.Accepted += l.Accepted
		t.Opened += l.Opened
		t.HandedOver += l.HandedOver
		t.HTTPRefused += l.HTTPRefused
		t.MessagesIn += l.MessagesIn
		t.FramesOut += l.FramesOut
		t.BytesIn += l.BytesIn
		t.BytesOut += l.BytesOut
		t.Published += l.Published
		t.Dropped += l.Dropped
		t.ControlDropped += l.ControlDropped
		t.BackpressureEvents += l.BackpressureEvents
		t.MailDropped += l.MailDropped
		t.Panics += l.Panics
		t.AcceptPauses += l.AcceptPauses
		for cause, n := range l.Closed {
			t.Closed[cause] += n
		}
	}
	return t
}
