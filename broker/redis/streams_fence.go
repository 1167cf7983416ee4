package redis

import (
	"context"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// fencePatience is how long a request waits for the stream at most.
const fencePatience = 2 * time.Second

// fence keeps a request, which came by pub/sub, until the node has read what its
// sender put into the stream before it: who lets sockets join a room, and asks for
// those in the room then, is told of them. It costs one command for the requests
// that come while one is under way. Node has nothing like it.
//
// Without an answer, or when the reader does not get there, requests go on
// unordered: lost they are not.
type fence struct {
	n *streamsNode

	mu      sync.Mutex
	running bool     // mu
	waiting []parcel // mu
	bytes   int      // mu; of waiting
}

func (f *fence) init(n *streamsNode) { f.n = n }

// message takes a request. It does not block.
func (f *fence) message(channel, payload string) {
	p := parcel{channel: channel, payload: payload}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) >= f.n.b.opts.QueueMessages || f.bytes+p.size() > f.n.b.opts.QueueBytes {
		f.n.inbox.message(channel, payload)
		return
	}
	f.waiting = append(f.waiting, p)
	f.bytes += p.size()
	if !f.running {
		f.running = true
		go f.run()
	}
}

// run hands over what waits, until nothing does.
func (f *fence) run() {
	for {
		f.mu.Lock()
		waiting := f.waiting
		f.waiting, f.bytes = nil, 0
		f.running = len(waiting) > 0
		f.mu.Unlock()
		if len(waiting) == 0 {
			return
		}
		f.pass()
		for _, p := range waiting {
			f.n.inbox.message(p.channel, p.payload)
		}
	}
}

// pass returns when everything that is in the streams now was delivered.
func (f *fence) pass() {
	ctx, cancel := context.WithTimeout(f.n.ctx, fencePatience)
	defer cancel()
	for _, r := range f.n.readers {
		t, err := f.n.b.tip(ctx, r.stream)
		if err == nil && t.last != (cluster.ID{}) {
			_ = r.reach(ctx, t.last)
		}
	}
}
