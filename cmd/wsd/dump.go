package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// dumpEvery is between two dumps at least: each stops the process for a moment.
	dumpEvery = 5 * time.Second
	// dumpLimit is how much of the stacks of goroutines is written, in bytes.
	dumpLimit = 1 << 20
)

// dumps write to standard error what a server does: its goroutines, and who has
// most sent. The zero value is ready for use.
type dumps struct {
	up   atomic.Bool // there are places to look at
	last time.Time   // when one began; of followDumps' goroutine
}

// followDumps writes a dump whenever signals has one, until stop is called. Call it
// first of all: what keeps a server from starting is shown, too.
func (s *server) followDumps(signals <-chan os.Signal) (stop func()) {
	return onEach(signals, s.dump)
}

// dump writes one, unless the last is too fresh.
func (s *server) dump(ctx context.Context) {
	if age := time.Since(s.dumps.last); age < dumpEvery {
		s.log.Warn("no dump: there was one just now", "every", dumpEvery.String())
		return
	}
	s.dumps.last = time.Now()
	writeGoroutines(s.stderr, s.sioFlags.ServerID)
	if !s.dumps.up.Load() {
		return // it still starts
	}
	found := s.monitor.places.get(ctx, s)
	if !found.rated() {
		// Rates are of the time between two looks.
		wait := time.NewTimer(scanEvery)
		defer wait.Stop()
		select {
		case <-wait.C:
			found = s.monitor.places.get(ctx, s)
		case <-ctx.Done(): // what there is must do
		}
	}
	writeTalkers(s.stderr, &found)
}

// writeGoroutines writes the stacks of all goroutines, or of those that dumpLimit
// leaves room for.
func writeGoroutines(w io.Writer, id string) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "wsd: dump of process %d, server id %q: %d goroutines\n\n", os.Getpid(), id, runtime.NumGoroutine())
	stacks := make([]byte, dumpLimit)
	n := runtime.Stack(stacks, true)
	b.Write(stacks[:n])
	if n == len(stacks) {
		fmt.Fprintf(&b, "\n... cut off at %d bytes", n)
	}
	b.WriteString("\n")
	_, _ = b.WriteTo(w) // nobody may read it
}

// writeTalkers writes what a scan has found. Names are quoted: clients choose them.
func writeTalkers(w io.Writer, found *places) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "wsd: talkers of process %d\n", os.Getpid())
	fmt.Fprintf(&b, "topics with most fan-out: %d\n", len(found.topics))
	for _, t := range found.topics {
		fmt.Fprintf(&b, "  topic=%q members=%d fan_out=%s\n", t.Name, t.Members, t.rateText())
	}
	fmt.Fprintf(&b, "rooms with most fan-out: %d\n", len(found.rooms))
	for _, r := range found.rooms {
		fmt.Fprintf(&b, "  namespace=%q room=%q members=%d fan_out=%s\n", r.Namespace, r.Name, r.Members, r.rateText())
	}
	fmt.Fprintf(&b, "slowest clients: %d\n", len(found.slowest))
	for _, c := range found.slowest {
		fmt.Fprintf(&b, "  buffered=%d kind=%s id=%q user=%q remote=%q path=%q\n", c.Buffered, c.Kind, c.ID, c.User, c.Remote, c.Path)
	}
	fmt.Fprintf(&b, "wsd: end of the dump of process %d\n", os.Getpid())
	_, _ = b.WriteTo(w)
}

// rateText is the fan-out per second.
func (v *placeView) rateText() string {
	if v.FanOut == nil {
		return "unknown"
	}
	return rate(*v.FanOut) + "/s"
}

// rated reports whether the rates of what was found are known.
func (p *places) rated() bool {
	unknown := func(v placeView) bool { return v.FanOut == nil }
	return !slices.ContainsFunc(p.topics, unknown) && !slices.ContainsFunc(p.rooms, unknown)
}
