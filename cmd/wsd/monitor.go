package main

import (
	"context"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/engine"
)

const (
	// sampleEvery is between two samples: rates are of such a time.
	sampleEvery = time.Second
	// keptSamples are those of the last five minutes.
	keptSamples = 300
)

// loopBusyMetric tells how busy each loop is.
const loopBusyMetric = "wsd_loop_busy_ratio"

// historyColumns are what is kept of each sample, in the order of monitor.row.
var historyColumns = []string{
	"connections", "messages_in", "messages_out", "bytes_in", "bytes_out",
	"dropped", "refused", "loop_lag_ms", "loop_busy", "broker_lag_ms",
}

// monitor takes a sample of the server each second, tells the other nodes a summary
// now and then, and answers for all of it. Its methods are safe from any goroutine.
type monitor struct {
	s       *server
	started time.Time

	sampling sync.Mutex  // one sample at a time
	probes   []*lagProbe // sampling

	mu      sync.Mutex
	at      time.Time // of the last sample
	now     sample    // the last one
	summary nodeSummary
	loops   []loopView
	trouble []trouble
	rows    [][]float64 // a ring: row n is at n % keptSamples
	next    uint64      // number of the next row

	places placeScan
	others others
}

// sample is what rates are made of.
type sample struct {
	snapshot
	totals  totals
	counts  map[string]uint64 // of trouble, by metric and reason
	dropped uint64
	refused uint64
}

// lagProbe measures how long a loop lets a task wait.
type lagProbe struct {
	loop     *engine.Loop
	mu       sync.Mutex
	asked    time.Time
	answered time.Duration // -1: not yet
}

func newMonitor(s *server) *monitor { return &monitor{s: s, started: time.Now()} }

// watch starts the monitor. stop ends it, and returns when it has ended.
func (s *server) watch() (stop func()) {
	m := s.monitor
	if m == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.sampleAll(ctx) })
	if s.redis != nil {
		wg.Go(func() { m.others.tellAll(ctx, m) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// sampleAll takes samples until ctx ends.
func (m *monitor) sampleAll(ctx context.Context) {
	ticks := time.NewTicker(sampleEvery)
	defer ticks.Stop()
	for {
		m.sample()
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// sample takes one.
func (m *monitor) sample() {
	m.sampling.Lock()
	defer m.sampling.Unlock()
	lags := m.probeLoops()
	var x sample
	readings := m.s.metrics.Read(func(name string) bool { return isTrouble(name) || name == loopBusyMetric })
	x.take(m.s)
	x.totals = totals{
		MessagesIn: x.total.MessagesIn, MessagesOut: x.total.FramesOut,
		BytesIn:  x.total.BytesIn + x.sio.Engine.BytesIn,
		BytesOut: x.total.BytesOut + x.sio.Engine.BytesOut,
		Accepted: x.total.Accepted,
	}
	at := time.Now()

	m.mu.Lock()
	defer m.mu.Unlock()
	seconds := at.Sub(m.at).Seconds()
	if m.at.IsZero() {
		seconds = 0
	}
	per := func(now, before uint64) float64 {
		if seconds <= 0 || now < before {
			return 0
		}
		return math.Round(float64(now-before)/seconds*100) / 100
	}
	m.trouble = x.countTrouble(readings, &m.now, per)
	m.loops = m.loopViews(&x, lags, per)
	for _, r := range readings {
		if i, err := strconv.Atoi(strings.Join(r.Labels, "")); err == nil && r.Name == loopBusyMetric && i < len(m.loops) {
			m.loops[i].Busy = r.Value
		}
	}
	m.summary = m.summarize(&x, at, per)
	m.at, m.now = at, x
	m.addRow(m.summary.row())
}

// probeLoops asks each loop for its lag, and returns the answers to the last
// question. A loop that has not answered it has that much lag already. Call with
// m.sampling.
func (m *monitor) probeLoops() []time.Duration {
	if m.probes == nil {
		for _, l := range m.s.app.Loops() {
			m.probes = append(m.probes, &lagProbe{loop: l, asked: time.Now()})
		}
	}
	lags := make([]time.Duration, len(m.probes))
	for i, p := range m.probes {
		lags[i] = p.ask()
	}
	return lags
}

// ask returns the lag that the last question found, and asks again if it was
// answered.
func (p *lagProbe) ask() time.Duration {
	p.mu.Lock()
	lag := p.answered
	if lag < 0 {
		lag = time.Since(p.asked)
		p.mu.Unlock()
		return lag
	}
	asked := time.Now()
	p.asked, p.answered = asked, -1
	p.mu.Unlock()
	if !p.loop.Post(func() { p.answer(time.Since(asked)) }) {
		p.answer(0) // it has ended
	}
	return lag
}

func (p *lagProbe) answer(lag time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = lag
}

// loopViews are the loops of a sample. Call with m.mu.
func (m *monitor) loopViews(x *sample, lags []time.Duration, per func(now, before uint64) float64) []loopView {
	views := make([]loopView, len(x.app.Loops))
	for i := range views {
		var before engine.LoopStats
		if i < len(m.now.app.Loops) {
			before = m.now.app.Loops[i]
		}
		l := &x.app.Loops[i]
		views[i] = loopView{ID: i, Connections: l.Sockets, MessagesIn: per(l.MessagesIn, before.MessagesIn)}
		if i < len(lags) {
			views[i].Lag = milliseconds(lags[i])
			views[i].Hung = lags[i] >= hungAfter
		}
	}
	return views
}

// summarize describes the node at a time. Call with m.mu.
func (m *monitor) summarize(x *sample, at time.Time, per func(now, before uint64) float64) nodeSummary {
	s, sio := m.s, &x.sio.Engine
	h := s.health()
	// Of this process: in a worker, health tells of all.
	h.Connections, h.Limit = s.connections(), int(s.limit.Load())
	h.Accepting = !h.Draining && h.Connections < h.Limit
	n := nodeSummary{
		ID: s.sioFlags.ServerID, Version: version, Started: m.started, At: at,
		Accepting: h.Accepting, Draining: h.Draining, Unready: s.reasonsUnready(),
		Connections: connectionsView{
			Total: h.Connections, Limit: h.Limit,
			Raw: x.raw, SIO: sio.Sessions,
			WebSocket: x.raw + sio.OnSocket, Polling: max(0, sio.Sessions-sio.OnSocket),
		},
		Rates: rates{
			MessagesIn:  per(x.totals.MessagesIn, m.now.totals.MessagesIn),
			MessagesOut: per(x.totals.MessagesOut, m.now.totals.MessagesOut),
			BytesIn:     per(x.totals.BytesIn, m.now.totals.BytesIn),
			BytesOut:    per(x.totals.BytesOut, m.now.totals.BytesOut),
			Accepted:    per(x.totals.Accepted, m.now.totals.Accepted),
			Dropped:     per(x.dropped, m.now.dropped),
			Refused:     per(x.refused, m.now.refused),
		},
		FDs: fdsView{Open: x.fds},
	}
	n.State = h.state(n.Unready)
	if limit, ok := fdLimit(); ok {
		n.FDs.Limit = int(min(limit, 1<<31-1))
	}
	for i := range m.loops {
		n.LoopLag = max(n.LoopLag, m.loops[i].Lag)
		n.LoopBusy = max(n.LoopBusy, m.loops[i].Busy)
	}
	if h.Broker != nil {
		n.Broker = &brokerView{Up: h.Broker.Up, Reason: h.Broker.Reason, Lag: h.Broker.LagMS, Gaps: h.Broker.Gaps, Lost: h.Broker.Lost}
		for _, q := range x.broker.Queues {
			n.Broker.Queued += q.Messages
		}
	}
	n.Memory, n.Goroutines = readMemory()
	return n
}

// state is the word for a node of this health.
func (h *health) state(unready []string) string {
	switch {
	case h.Draining:
		return stateDraining
	case h.Connections >= h.Limit:
		return stateFull
	case len(unready) > 0:
		return stateUnready
	}
	return stateOK
}

// row is what the history keeps, in the order of historyColumns.
func (n *nodeSummary) row() []float64 {
	lag := 0.0
	if n.Broker != nil {
		lag = n.Broker.Lag
	}
	return []float64{
		float64(n.Connections.Total), n.Rates.MessagesIn, n.Rates.MessagesOut, n.Rates.BytesIn, n.Rates.BytesOut,
		n.Rates.Dropped, n.Rates.Refused, n.LoopLag, n.LoopBusy, lag,
	}
}

// addRow adds to the history. Call with m.mu.
func (m *monitor) addRow(row []float64) {
	if len(m.rows) < keptSamples {
		m.rows = append(m.rows, row)
	} else {
		m.rows[m.next%keptSamples] = row
	}
	m.next++
}

// since returns the history from a row on, or all of it where that is older or not
// there yet. Call with m.mu.
func (m *monitor) since(from uint64) history {
	oldest := m.next - uint64(len(m.rows))
	if from < oldest || from > m.next {
		from = oldest
	}
	h := history{Columns: historyColumns, Next: m.next, Rows: [][]float64{}}
	for ; from < m.next; from++ {
		h.Rows = append(h.Rows, m.rows[from%keptSamples])
	}
	return h
}

// overview answers /v1/overview. It waits for loops and for Redis, but not long.
func (m *monitor) overview(ctx context.Context, since uint64) overview {
	places := m.places.get(ctx, m.s)
	others, cluster := m.others.get(ctx, m)

	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at.IsZero() { // asked before the first sample
		m.mu.Unlock()
		m.sample()
		m.mu.Lock()
	}
	x := &m.now
	detail := nodeDetail{
		ID: m.summary.ID, PID: os.Getpid(), Totals: x.totals,
		Loops:   slices.Clone(m.loops),
		Topics:  topicsView{Count: x.app.Topics, Top: places.topics},
		Rooms:   roomsView{Namespaces: len(x.sio.Sockets), Top: places.rooms},
		Slowest: places.slowest,
		Trouble: slices.Clone(m.trouble),
	}
	for _, n := range x.sio.Sockets {
		detail.Rooms.Sockets += n
	}
	if m.s.redis != nil {
		detail.Links = m.links()
	}
	return overview{
		Time: time.Now(), Node: detail,
		Nodes:   append([]nodeSummary{m.summary}, others...),
		Cluster: cluster, History: m.since(since),
	}
}

// links describes the connections to Redis. Call with m.mu.
func (m *monitor) links() *linksView {
	b := &m.now.broker
	v := &linksView{
		Adapter: m.s.redisFlags.Adapter, Connections: b.Connections, Channels: b.Channels, Subscriptions: b.Subscriptions,
		ProbesLost: b.ProbesLost, Reconnects: b.Disconnects, Sent: b.Sent, Received: b.Received, Queues: []queueView{},
	}
	for _, q := range b.Queues {
		v.Queues = append(v.Queues, queueView{q.Name, q.Messages, q.Bytes})
	}
	return v
}

// milliseconds is a duration with three digits behind the point.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
