package redis

import (
	"sync"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// parcelSize is about what a parcel takes in memory beside what it carries.
const parcelSize = 96

// parcel is one thing that waits in an inbox: bytes as they arrived, a message,
// or the place where messages are missing.
type parcel struct {
	channel, payload string
	message          *cluster.Message
	gap              broker.Gap // Reason 0: none
	call             func()     // nil: none
}

func (p *parcel) size() int {
	n := parcelSize + len(p.channel) + len(p.payload)
	if p.message != nil {
		n += p.message.Size()
	}
	return n
}

// inbox queues what arrives for one membership until its receiver has taken it,
// so that neither decoding nor a slow receiver holds up the connection. It is
// bounded in messages and bytes; what is too much is dropped, and the receiver
// told in its place. A goroutine exists while something waits.
//
// Its methods are safe from any goroutine, and do not block. It is a listener.
type inbox struct {
	maxMessages, maxBytes int
	// open decodes what arrived, on the inbox's goroutine; nil: nothing for the
	// receiver.
	open     func(channel, payload string) *cluster.Message
	receiver broker.ClusterReceiver
	count    *counters
	freed    chan struct{} // has something when there may be room for offer

	mu      sync.Mutex
	choked  bool // offer has waited in vain
	closed  bool
	running bool
	queue   []parcel
	waiting int // of the queue: those that are no gaps
	bytes   int // of the queue; a single parcel may have more than allowed
	lost    uint64
	gaps    uint64
}

// newInbox makes an empty one, bounded as the options say.
func (b *Broker) newInbox(r broker.ClusterReceiver, open func(channel, payload string) *cluster.Message) *inbox {
	return &inbox{
		maxMessages: b.opts.QueueMessages, maxBytes: b.opts.QueueBytes,
		open: open, receiver: r, count: &b.count, freed: make(chan struct{}, 1),
	}
}

// message implements listener: it queues bytes as they arrived.
func (in *inbox) message(channel, payload string) {
	in.push(parcel{channel: channel, payload: payload})
}

// put queues a message that is decoded. It reports whether there was room.
func (in *inbox) put(m *cluster.Message) bool { return in.push(parcel{message: m}) }

// gap implements listener: the receiver is told behind what waits already.
func (in *inbox) gap(g broker.Gap) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.closed {
		in.missLocked(g)
		in.runLocked()
	}
}

func (in *inbox) push(p parcel) bool {
	size := p.size()
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		return false
	case in.waiting >= in.maxMessages, in.waiting > 0 && in.bytes+size > in.maxBytes:
		in.lost++
		in.count.lostOverflow.Add(1)
		in.missLocked(broker.Gap{Reason: broker.Overflow, Lost: 1})
		return false
	}
	in.queue = append(in.queue, p)
	in.waiting++
	in.bytes += size
	in.runLocked()
	return true
}

// missLocked notes that messages are missing at the end of the queue. Gaps
// without a message between them are one for each reason, so that there are few
// of them, however many messages are dropped.
func (in *inbox) missLocked(g broker.Gap) {
	for i := len(in.queue) - 1; i >= 0 && in.queue[i].gap.Reason != 0; i-- {
		if last := &in.queue[i].gap; last.Reason == g.Reason {
			if last.Lost < 0 || g.Lost < 0 {
				last.Lost = -1
			} else {
				last.Lost += g.Lost
			}
			return
		}
	}
	if g.Reason == broker.Overflow {
		in.count.gap(g.Reason) // the others' are counted where they come from
	}
	in.queue = append(in.queue, parcel{gap: g})
}

func (in *inbox) runLocked() {
	if !in.running {
		in.running = true
		go in.run()
	}
}

// run hands over until the queue is empty.
func (in *inbox) run() {
	for {
		p, ok := in.next()
		if !ok {
			return
		}
		if p.gap.Reason != 0 {
			if in.receiver.Gap != nil {
				in.receiver.Gap(p.gap)
			}
			continue
		}
		if p.call != nil {
			p.call()
			continue
		}
		m := p.message
		if m == nil {
			m = in.open(p.channel, p.payload)
		}
		if m != nil && !in.isClosed() {
			in.receiver.Deliver(m)
		}
	}
}

// next takes a parcel off the queue; false ends the goroutine.
func (in *inbox) next() (parcel, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.queue) == 0 {
		in.running = false
		in.queue = nil // its array is mostly what was taken off
		return parcel{}, false
	}
	p := in.queue[0]
	in.queue[0] = parcel{}
	in.queue = in.queue[1:]
	if p.gap.Reason != 0 {
		in.gaps++
	} else {
		in.waiting--
		in.bytes -= p.size()
		in.freeLocked()
	}
	return p, true
}

func (in *inbox) isClosed() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.closed
}

// counts are the messages that were dropped, and the gaps that the receiver was
// told.
func (in *inbox) counts() (lost, gaps uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.lost, in.gaps
}

// close drops what waits. One call of the receiver at most is still under way
// when it returns. It may be called twice, and by the receiver.
func (in *inbox) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed, in.queue, in.waiting, in.bytes = true, nil, 0, 0
	in.freeLocked()
}
