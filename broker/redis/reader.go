package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// readBlock is how long the server waits for an entry, and how often the reader
// compares what it has read with what the stream had. A server that stands still
// is noticed after this and Options.CommandTimeout.
const readBlock = 2 * time.Second

// slowTake is how long entries may take to be handed over before the stream may
// have dropped others meanwhile.
const slowTake = 5 * time.Millisecond

// errStale says that the reader's connection leads to a server that has not got
// what the master has: after a failover, say.
var errStale = errors.New("redis: the stream is read from a server that is not its master")

// reader follows one stream on a connection of its own. It begins at the end of
// the stream, as that was when it was first reached, and then goes on at the last
// entry that it has read, whatever happens to the connection.
//
// It stops reading while a node's inbox is full, since the stream keeps what is
// not read; what the stream drops meanwhile is told as a gap.
type reader struct {
	b       *Broker
	stream  string
	deliver func(ctx context.Context, id string, e cluster.Entry)
	gap     func(g broker.Gap)

	cursor cursor // of the reader's goroutine

	mu      sync.Mutex
	begun   bool          // mu; the start is known
	last    cluster.ID    // mu; the cursor's: what is up to it was delivered
	failure error         // mu; why nothing is read; nil: it is
	moved   chan struct{} // mu; closed when one of the above changes
}

func newReader(b *Broker, stream string) *reader {
	return &reader{b: b, stream: stream, failure: errors.New("not connected yet"), moved: make(chan struct{})}
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; failed++ {
		conn, _ := r.b.client.Dedicate()
		// Closing the connection ends a read that waits for entries.
		stop := context.AfterFunc(ctx, conn.Close)
		err := r.follow(ctx, conn, func() { failed = 0 })
		stop()
		conn.Close()
		if ctx.Err() != nil {
			return
		}
		r.b.count.commandErrors.Add(1)
		r.fail(err)
		pause(ctx, backoff(failed))
	}
}

// follow reads until something fails. It calls alive after each answer.
func (r *reader) follow(ctx context.Context, conn rueidis.DedicatedClient, alive func()) error {
	if !r.isBegun() {
		if err := r.begin(ctx, conn); err != nil {
			return err
		}
	}
	behind, compared := true, time.Time{}
	for ctx.Err() == nil {
		var entries []rueidis.XRangeSlice
		var err error
		looked := behind || time.Since(compared) >= readBlock
		if looked {
			entries, err = r.compare(ctx, conn)
			compared = time.Now()
		} else {
			entries, err = r.wait(ctx, conn)
		}
		if err != nil {
			return err
		}
		alive()
		r.settle()
		full := len(entries) >= r.b.opts.StreamReadCount
		if full && !looked {
			behind = true // what is before them may be missing: they are read again
			continue
		}
		began := time.Now()
		r.take(ctx, entries)
		behind = full || time.Since(began) > slowTake
	}
	return ctx.Err()
}

// begin puts the cursor at the end of the stream.
func (r *reader) begin(ctx context.Context, conn rueidis.DedicatedClient) error {
	ctx, cancel := context.WithTimeout(ctx, r.b.opts.CommandTimeout)
	defer cancel()
	t, err := tipOf(conn.Do(ctx, conn.B().XinfoStream().Key(r.stream).Build()))
	if err != nil {
		return err
	}
	r.cursor = beginAt(t)
	r.settle()
	return nil
}

// wait reads what is behind the cursor, as soon as there is something.
func (r *reader) wait(ctx context.Context, conn rueidis.DedicatedClient) ([]rueidis.XRangeSlice, error) {
	ctx, cancel := context.WithTimeout(ctx, readBlock+r.b.opts.CommandTimeout)
	defer cancel()
	read := conn.B().Xread().Count(int64(r.b.opts.StreamReadCount)).Block(readBlock.Milliseconds()).
		Streams().Key(r.stream).Id(r.cursor.last.String()).Build()
	m, err := conn.Do(ctx, read).ToMessage()
	return r.entries(m, err)
}

// compare reads what is behind the cursor without waiting, together with what the
// stream has as a whole, and tells what is missing.
func (r *reader) compare(ctx context.Context, conn rueidis.DedicatedClient) ([]rueidis.XRangeSlice, error) {
	entries, _, err := r.compareOnce(ctx, conn)
	if err != nil || len(entries) > 0 {
		return entries, err
	}
	// Nothing new is here. If there is on the server that takes the commands, this
	// connection must see it now, or it leads elsewhere.
	master, err := r.b.tip(ctx, r.stream)
	if err != nil || master.last == r.cursor.last {
		return nil, nil // what is wrong with other connections is not said here
	}
	entries, here, err := r.compareOnce(ctx, conn)
	if err == nil && len(entries) == 0 && here.last.Compare(master.last) < 0 {
		err = errStale
	}
	return entries, err
}

// compareOnce is one look of compare.
func (r *reader) compareOnce(ctx context.Context, conn rueidis.DedicatedClient) ([]rueidis.XRangeSlice, tip, error) {
	count := r.b.opts.StreamReadCount
	for range 3 { // a stream that began anew is read again from its beginning
		entries, t, err := r.look(ctx, conn)
		if err != nil {
			return nil, tip{}, err
		}
		g, again := r.cursor.judge(t, len(entries), count)
		if g.Reason != 0 {
			r.gap(g)
		}
		if !again {
			return entries, t, nil
		}
		r.settle()
	}
	return nil, tip{}, fmt.Errorf("redis: stream %q begins anew again and again", r.stream)
}

// look reads behind the cursor, and what the stream has, in one transaction.
func (r *reader) look(ctx context.Context, conn rueidis.DedicatedClient) ([]rueidis.XRangeSlice, tip, error) {
	ctx, cancel := context.WithTimeout(ctx, r.b.opts.CommandTimeout)
	defer cancel()
	b := conn.B()
	answers := conn.DoMulti(ctx,
		b.Multi().Build(),
		b.Xread().Count(int64(r.b.opts.StreamReadCount)).Streams().Key(r.stream).Id(r.cursor.last.String()).Build(),
		b.XinfoStream().Key(r.stream).Build(),
		b.Exec().Build(),
	)
	for _, a := range answers[:3] {
		if err := a.Error(); err != nil {
			return nil, tip{}, err
		}
	}
	both, err := answers[3].ToArray()
	if err != nil {
		return nil, tip{}, err
	}
	if len(both) != 2 {
		return nil, tip{}, fmt.Errorf("redis: %d answers in place of 2", len(both))
	}
	entries, err := r.entries(both[0], nil)
	if err != nil {
		return nil, tip{}, err
	}
	t, err := parseTip(both[1])
	return entries, t, err
}

// entries are those of the answer to XREAD.
func (r *reader) entries(m rueidis.RedisMessage, err error) ([]rueidis.XRangeSlice, error) {
	if err == nil {
		err = m.Error()
	}
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	streams, err := m.AsXReadSlices()
	return streams[r.stream], err
}

// take hands entries over, each to the nodes of its namespace.
func (r *reader) take(ctx context.Context, entries []rueidis.XRangeSlice) {
	for _, e := range entries {
		id, err := cluster.ParseID(e.ID)
		if err != nil {
			continue // no server says so
		}
		r.deliver(ctx, e.ID, streamEntry(e.FieldValues))
		if ctx.Err() != nil {
			return
		}
		r.cursor.advance(id)
	}
	if len(entries) > 0 {
		r.settle()
	}
}

// streamEntry reads the fields of an entry. Of a field that is there twice the last
// one counts, as in Node.
func streamEntry(fields []rueidis.XRangeFieldValue) (e cluster.Entry) {
	for _, f := range fields {
		switch f.Field {
		case "uid":
			e.UID = f.Value
		case "nsp":
			e.Namespace = f.Value
		case "type":
			e.Type = f.Value
		case "data":
			e.Data = f.Value
		}
	}
	return e
}

// fail notes why nothing is read.
func (r *reader) fail(err error) {
	r.mu.Lock()
	first := r.failure == nil
	r.failure = err
	r.mu.Unlock()
	if first {
		r.b.log.Warn("a stream is not read", "stream", r.stream, "error", err)
	}
}

// settle notes that the stream is read, and tells those who wait how far.
func (r *reader) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun && r.failure == nil && r.last == r.cursor.last {
		return
	}
	r.begun, r.failure, r.last = true, nil, r.cursor.last
	close(r.moved)
	r.moved = make(chan struct{})
}

func (r *reader) isBegun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
}

// state is why nothing is read, nil if it is.
func (r *reader) state() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// reach waits until the reader has begun, and delivered everything up to an entry.
func (r *reader) reach(ctx context.Context, id cluster.ID) error {
	for {
		r.mu.Lock()
		there, moved := r.begun && r.last.Compare(id) >= 0, r.moved
		r.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tip asks what a stream has. One that is not there is no failed command.
func (b *Broker) tip(ctx context.Context, stream string) (tip, error) {
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	return tipOf(b.client.Do(ctx, b.client.B().XinfoStream().Key(stream).Build()))
}

func tipOf(r rueidis.RedisResult) (tip, error) {
	if err := r.NonRedisError(); err != nil {
		return tip{}, err
	}
	m, _ := r.ToMessage() // a server's error is in the message
	return parseTip(m)
}
