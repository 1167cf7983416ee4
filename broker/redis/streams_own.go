package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

const (
	// ownPatience is how long the id of an own entry, which the reader has come
	// to, may be unknown before those behind it go on.
	ownPatience = time.Second
	// ownDelay is how long done waits for the reader to come to the entry. Local
	// clients get their messages then even if the stream cannot be read.
	ownDelay = 2 * time.Second
)

// ownEntries are a node's own entries on their way into the stream and back: the
// lane tells their ids, and the reader where among the others they are. There,
// on the inbox's goroutine, their done is called.
type ownEntries struct {
	inbox *inbox
	lost  *atomic.Uint64 // counts what behind refuses

	mu       sync.Mutex
	closed   bool          // mu
	pending  []*ownEntry   // mu; in the order of the lane, which is that of the stream
	unknown  int           // mu; of pending: those without an answer
	answered cluster.ID    // mu; the last id that an answer told
	told     chan struct{} // mu; closed when there is an answer
	seen     cluster.ID    // mu; the inbox's goroutine has come to it
	later    []laterSend   // mu; what waits for the answers to entries before it
	bytes    int           // mu; of later
}

// laterSend is something that is sent when an entry has been answered.
type laterSend struct {
	after *ownEntry
	size  int
	send  func() error
}

// ownEntry is an entry between addEntry and its done.
type ownEntry struct {
	done   func(offset string, err error) // nil: nobody waits
	known  time.Time                      // when the server's answer came; zero: it has not
	id     cluster.ID
	offset string
	err    error
}

func (o *ownEntries) init(in *inbox, lost *atomic.Uint64) {
	o.inbox, o.lost, o.told = in, lost, make(chan struct{})
}

// push has the lane take an entry, and notes it.
func (o *ownEntries) push(e *ownEntry, most int, lane func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return broker.ErrClosed
	case len(o.pending) >= most:
		return broker.ErrOverflow
	}
	if err := lane(); err != nil {
		return err
	}
	o.pending = append(o.pending, e)
	o.unknown++
	return nil
}

// answer is what the server says of an entry. Call on the lane.
func (o *ownEntries) answer(e *ownEntry, offset string, err error) {
	id, malformed := cluster.ParseID(offset)
	if err == nil {
		err = malformed
	}
	o.mu.Lock()
	e.known, e.id, e.offset, e.err = time.Now(), id, offset, err
	o.unknown--
	if err == nil {
		o.answered = id
	}
	for len(o.pending) > 0 && o.pending[0].done == nil && !o.pending[0].known.IsZero() {
		o.pending = o.pending[1:] // nobody waits
	}
	close(o.told)
	o.told = make(chan struct{})
	o.sendLocked()
	o.mu.Unlock()
	if err != nil {
		o.inbox.do(o.settle)
	}
}

// behind sends something when all entries before it were answered: where the
// server of the stream is another, it could arrive before them. most and mostBytes
// bound what waits. What fails later is counted by send.
func (o *ownEntries) behind(most, mostBytes, size int, send func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 || !o.pending[len(o.pending)-1].known.IsZero() {
		return send()
	}
	if len(o.later) >= most || o.bytes+size > mostBytes {
		o.lost.Add(1)
		return broker.ErrOverflow
	}
	o.later = append(o.later, laterSend{o.pending[len(o.pending)-1], size, send})
	o.bytes += size
	return nil
}

// sendLocked sends what need not wait any more. It is under the lock so that
// nothing overtakes it.
func (o *ownEntries) sendLocked() {
	for len(o.later) > 0 && !o.later[0].after.known.IsZero() {
		x := o.later[0]
		o.later[0] = laterSend{}
		o.later = o.later[1:]
		o.bytes -= x.size
		_ = x.send()
	}
}

// read is that the reader has come to an own entry. It does not wait.
func (o *ownEntries) read(offset string) {
	id, err := cluster.ParseID(offset)
	o.mu.Lock()
	waits := len(o.pending) > 0
	o.mu.Unlock()
	if waits && err == nil {
		o.inbox.do(func() { o.reach(id) })
	}
}

// reach settles the entries up to one. The server's answer may come a little later
// than the entry itself. Call on the inbox's goroutine.
func (o *ownEntries) reach(id cluster.ID) {
	timer := time.NewTimer(ownPatience)
	defer timer.Stop()
	for {
		o.mu.Lock()
		if o.seen.Compare(id) < 0 {
			o.seen = id
		}
		told, wait := o.told, o.unknown > 0 && o.answered.Compare(id) < 0
		o.mu.Unlock()
		if !wait {
			break
		}
		select {
		case <-told:
			continue
		case <-timer.C:
		}
		break
	}
	o.settle()
}

// settle calls done of the first entries, as far as they have failed, or the
// receiver has been given what is before them. Call on the inbox's goroutine.
func (o *ownEntries) settle() {
	for _, e := range o.settled(time.Now()) {
		if e.done != nil {
			e.done(e.offset, e.err)
		}
	}
}

func (o *ownEntries) settled(now time.Time) []*ownEntry {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, e := range o.pending {
		if e.known.IsZero() || e.err == nil && e.id.Compare(o.seen) > 0 && now.Sub(e.known) < ownDelay {
			break
		}
		n++
	}
	settled := o.pending[:n:n]
	o.pending = o.pending[n:]
	return settled
}

// overdue has done called that the reader lets wait for too long.
func (o *ownEntries) overdue(now time.Time) {
	o.mu.Lock()
	late := len(o.pending) > 0 && !o.pending[0].known.IsZero() && now.Sub(o.pending[0].known) >= ownDelay
	o.mu.Unlock()
	if late {
		o.inbox.do(o.settle)
	}
}

// close tells those who wait that the node has left.
func (o *ownEntries) close() {
	o.mu.Lock()
	o.closed = true
	pending := o.pending
	o.pending, o.later, o.unknown = nil, nil, 0
	o.mu.Unlock()
	if len(pending) == 0 {
		return
	}
	go func() { // not inside the call of Leave
		for _, e := range pending {
			if e.done != nil {
				e.done("", broker.ErrClosed)
			}
		}
	}()
}
