package redis

import (
	"errors"
	"hash/maphash"
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
	// ownDoubt is how long the reader is given to come to an entry of which the
	// server's answer got lost, before it counts as one that is not in the stream.
	ownDoubt = time.Second
	// maxStrays bounds the entries that were read before their answer came.
	maxStrays = 1024
)

// printSeed makes prints differ between processes.
var printSeed = maphash.MakeSeed()

// ownEntries are a node's own entries on their way into the stream and back: the
// lane tells their ids, and the reader where among the others they are. There,
// on the inbox's goroutine, their done is called.
//
// A broken connection leaves open whether the server took an entry: such a one is
// in doubt, until the reader comes to it and knows it by its print, or to one
// behind it. A server that stood still, and takes an entry long after it was given
// up, is the one case in which done has told an error of what is in the stream.
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
	strays   []strayEntry  // mu; what was read while entries had no answer, and is none of those that have
	later    []laterSend   // mu; what waits for the answers to entries before it
	bytes    int           // mu; of later
}

// strayEntry is an own entry in the stream.
type strayEntry struct {
	id    cluster.ID
	print uint64
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
	print  uint64                         // of its data
	known  time.Time                      // when the server's answer came; zero: it has not
	id     cluster.ID
	offset string
	err    error
	doubt  bool // err leaves open whether it is in the stream
}

// printOf is by what an entry's data are known again.
func printOf(e cluster.Entry) uint64 { return maphash.String(printSeed, e.Data) }

// found notes where in the stream an entry is that was in doubt.
func (e *ownEntry) found(id cluster.ID) {
	e.id, e.offset, e.err, e.doubt = id, id.String(), nil, false
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
		for len(o.strays) > 0 && o.strays[0].id.Compare(id) <= 0 {
			o.strays = o.strays[1:]
		}
	} else {
		o.doubtLocked(e)
	}
	if o.unknown == 0 {
		o.strays = nil
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

// doubtLocked decides whether an entry that has failed is in doubt.
func (o *ownEntries) doubtLocked(e *ownEntry) {
	if e.done == nil || errors.Is(e.err, broker.ErrUnavailable) || errors.Is(e.err, broker.ErrClosed) {
		return
	}
	for i, s := range o.strays {
		if s.print == e.print {
			o.strays = o.strays[i+1:] // those before it are nobody's: entries are read in their order
			e.found(s.id)
			return
		}
	}
	e.doubt = true
	time.AfterFunc(ownDoubt, func() { o.inbox.do(o.settle) })
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
func (o *ownEntries) read(offset string, e cluster.Entry) {
	id, err := cluster.ParseID(offset)
	o.mu.Lock()
	waits := len(o.pending) > 0
	o.mu.Unlock()
	if waits && err == nil {
		print := printOf(e)
		o.inbox.do(func() { o.reach(id, print) })
	}
}

// reach settles the entries up to one. The server's answer may come a little later
// than the entry itself. Call on the inbox's goroutine.
func (o *ownEntries) reach(id cluster.ID, print uint64) {
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
	o.identify(id, print)
	o.settle()
}

// identify finds out which entry it is that the reader has come to. What was in
// doubt before it is not in the stream.
func (o *ownEntries) identify(id cluster.ID, print uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := -1
	for i, e := range o.pending {
		if e.known.IsZero() || e.err == nil && e.id.Compare(id) >= 0 {
			if e.id == id {
				at = i
			}
			break
		}
		if at < 0 && e.doubt && e.print == print {
			at = i
		}
	}
	if at < 0 {
		if o.unknown > 0 && len(o.strays) < maxStrays {
			o.strays = append(o.strays, strayEntry{id, print})
		}
		return
	}
	if e := o.pending[at]; e.doubt {
		e.found(id)
	}
	for _, e := range o.pending[:at] {
		e.doubt = false
	}
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
		age := now.Sub(e.known)
		if e.known.IsZero() || e.doubt && age < ownDoubt || e.err == nil && e.id.Compare(o.seen) > 0 && age < ownDelay {
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
	o.pending, o.later, o.strays, o.unknown = nil, nil, nil, 0
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
