package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// recovering is two servers whose cluster keeps a log.
func recovering(t *testing.T, nodes broker.Cluster, opts socketio.Options, setup func(*socketio.Server)) (a, b *server) {
	t.Helper()
	opts.Cluster = nodes
	if opts.Recovery == nil {
		opts.Recovery = &socketio.RecoveryOptions{}
	}
	return serve(t, opts, setup), serve(t, opts, setup)
}

func memoryLog() broker.Cluster { return broker.NewMemoryClusterLog(broker.MemoryLogOptions{}) }

// A client that goes from one node to another is who it was, and gets what it
// has missed.
func TestRecoveryOnAnotherNode(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		sockets := make(chan *socketio.Socket, 1)
		a, b := recovering(t, memoryLog(), opts, announce(sockets))
		c := a.dial(t)
		k := come(t, c)
		s := wait(t, sockets)
		s.Join("r")
		s.SetData(map[string]any{"kept": []any{1.0, "x"}})
		_ = s.Emit("direct", 1)
		k.stored(t, c, `"direct",1`)
		_ = b.To("r").Emit("of b")
		k.stored(t, c, `"of b"`)
		_ = a.Volatile().Emit("vol")
		_ = b.Volatile().Emit("vol")
		c.expect(`42["vol"]`, `42["vol"]`)
		_ = a.Local().Emit("local") // only this node's, so it is not in the log
		c.expect(`42["local"]`)

		vanish(t, a, c)
		_ = a.To("r").Emit("missed", "of a")
		_ = b.To(k.SID).Emit("missed", "of b")
		_ = s.Emit("missed", "by the old socket")
		_ = a.To("other").Emit("not for it")
		_ = b.Except("r").Emit("not for it")
		_ = b.Volatile().Emit("not for it")
		_ = b.Emit("missed", []byte("x"))

		c = b.dial(t)
		c.send(k.again())
		for _, who := range []string{"of a", "of b", "by the old socket"} {
			k.stored(t, c, fmt.Sprintf(`"missed",%q`, who))
		}
		if got := c.next(); !strings.HasPrefix(got, `451-["missed",{"_placeholder":true,"num":0},"`) {
			t.Errorf("got %q", got)
		}
		c.expect("x", k.welcome())
		s = wait(t, sockets)
		if !s.Recovered() || s.ID() != k.SID || fmt.Sprint(s.Data()) != "map[kept:[1 x]]" || !slices.Equal(s.Rooms(), []string{k.SID, "r"}) {
			t.Errorf("recovered %v, %v, %v", s.Recovered(), s.Data(), s.Rooms())
		}
		for _, srv := range []*server{a, b} {
			_ = srv.To("r").Emit("live")
			k.stored(t, c, `"live"`)
		}
		if st := b.Stats(); st.Recovered != 1 || st.RecoveriesFailed != 0 || st.Unlogged != 0 {
			t.Errorf("%+v", st)
		}

		// A claim is good for once, and needs its parts to be right.
		vanish(t, b, c)
		for name, packet := range map[string]string{
			"no offset":        fmt.Sprintf(`40{"pid":%q,"offset":"bogus"}`, k.PID),
			"a future offset":  fmt.Sprintf(`40{"pid":%q,"offset":"9999999999999999-0"}`, k.PID),
			"unknown pid":      fmt.Sprintf(`40{"pid":"bogus","offset":%q}`, k.offset),
			"an old offset":    fmt.Sprintf(`40{"pid":%q,"offset":"1-0"}`, k.PID),
			"nothing but data": `40{"token":"x"}`,
		} {
			c = a.dial(t)
			c.send(packet)
			if got := c.next(); got == k.welcome() || !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("%s: got %q", name, got)
			}
			if s := wait(t, sockets); s.Recovered() || s.Data() != nil || len(s.Rooms()) != 1 {
				t.Errorf("%s: recovered", name)
			}
			vanish(t, a, c)
		}
		if st := a.Stats(); st.RecoveriesFailed != 4 {
			t.Errorf("%d recoveries failed", st.RecoveriesFailed)
		}
	})
}

// Who was told that the server shuts down returns to another one.
func TestRecoveryBehindClose(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	a, b := recovering(t, memoryLog(), socketio.Options{}, announce(sockets))
	c := a.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.Close(ctx); err != nil {
		t.Fatal(err)
	}
	_ = b.Emit("two")
	c = b.dial(t)
	c.send(k.again())
	k.stored(t, c, `"two"`)
	c.expect(k.welcome())
	if s := wait(t, sockets); !s.Recovered() {
		t.Error("it is a new socket")
	}
}

// A session is taken once, however many ask for it at a time.
func TestSessionIsTakenOnce(t *testing.T) {
	sockets := make(chan *socketio.Socket, 8)
	a, b := recovering(t, memoryLog(), socketio.Options{}, announce(sockets))
	c := a.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	vanish(t, a, c)
	var same int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 8 {
		c := []*server{a, b}[i%2].dial(t)
		all.Go(func() {
			c.send(k.again())
			if c.next() == k.welcome() {
				mu.Lock()
				same++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if same != 1 {
		t.Errorf("%d clients are the same", same)
	}
}

// While both nodes emit, a client that leaves and returns, to either, misses
// nothing, gets nothing twice, and the events of each node in order.
func TestRecoveryBetweenNodesLosesNothing(t *testing.T) {
	const n = 1500
	sockets := make(chan *socketio.Socket, 1)
	a, b := recovering(t, memoryLog(), socketio.Options{}, announce(sockets))
	nodes := []*server{a, b}
	c := a.dial(t)
	k := come(t, c)
	wait(t, sockets)
	_ = a.Emit("begin")
	k.stored(t, c, `"begin"`)

	seen := &sequence{t: t, claim: &k}
	emit := make(chan int, 1) // where, for each event
	var emitted sync.WaitGroup
	var sent atomic.Int64
	emitted.Go(func() {
		var next [2]int
		for i := range n {
			node := i % 2
			if err := nodes[node].Emit("n", node, next[node]); err != nil {
				t.Error(err)
			}
			next[node]++
			sent.Store(int64(i + 1))
			if i%100 == 50 {
				emit <- i
			}
		}
		close(emit)
	})
	for moves := 0; ; moves++ {
		_, more := <-emit
		if !more {
			break
		}
		// Away in the midst of what both send.
		at := nodes[moves%2]
		for range min(20, int(sent.Load())-seen.count) {
			seen.take(c.next())
		}
		c.conn.Close()
		eventually(t, func() bool { return at.Sockets() == 0 })
		c = nodes[(moves+1)%2].dial(t)
		c.send(k.again())
		for {
			got := c.next()
			if got == k.welcome() {
				break
			}
			seen.take(got)
		}
		wait(t, sockets)
	}
	emitted.Wait()
	for seen.count < n {
		seen.take(c.next())
	}
	for _, srv := range nodes {
		if st := srv.Stats(); st.Unlogged != 0 || st.RecoveriesFailed != 0 || st.SessionsLost != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// sequence checks that the events of each node come in order, each once.
type sequence struct {
	t     *testing.T
	claim *claim
	next  [2]int
	count int
}

func (q *sequence) take(packet string) {
	q.t.Helper()
	fields := strings.Split(strings.TrimSuffix(strings.TrimPrefix(packet, `42["n",`), "]"), ",")
	if len(fields) < 2 || len(fields) > 3 {
		q.t.Fatalf("got %q", packet)
	}
	node, err := strconv.Atoi(fields[0])
	number, err2 := strconv.Atoi(fields[1])
	if err != nil || err2 != nil {
		q.t.Fatalf("got %q", packet)
	}
	if number != q.next[node] {
		q.t.Fatalf("got %q, want %d of node %d", packet, q.next[node], node)
	}
	if len(fields) == 3 {
		q.claim.offset = strings.Trim(fields[2], `"`)
	}
	q.next[node]++
	q.count++
}

// logNode is a node of a log that a test has at hand.
type logNode struct {
	broker.ClusterLog
	with *logWith
}

// logWith is a log with other methods.
type logWith struct {
	broker.Cluster
	append  func(n *logNode, m *cluster.Message, done func(string, error)) error
	restore func(n *logNode, ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error)
	since   func(n *logNode, ctx context.Context, s *cluster.Session, offset string) (broker.Missed, error)
}

func (l *logWith) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := l.Cluster.Join(namespace, r)
	if err != nil {
		return nil, err
	}
	return &logNode{n.(broker.ClusterLog), l}, nil
}

func (n *logNode) Append(m *cluster.Message, done func(string, error)) error {
	if n.with.append != nil {
		return n.with.append(n, m, done)
	}
	return n.ClusterLog.Append(m, done)
}

func (n *logNode) RestoreSession(ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
	if n.with.restore != nil {
		return n.with.restore(n, ctx, pid, offset)
	}
	return n.ClusterLog.RestoreSession(ctx, pid, offset)
}

func (n *logNode) MissedSince(ctx context.Context, s *cluster.Session, offset string) (broker.Missed, error) {
	if n.with.since != nil {
		return n.with.since(n, ctx, s, offset)
	}
	return n.ClusterLog.MissedSince(ctx, s, offset)
}

// What is sent between the reading of the log and the moment when the socket is
// in its rooms comes once, also where the tail has forgotten some of it.
func TestRecoveryClosesTheRace(t *testing.T) {
	for name, burst := range map[string]int{"remembered": 50, "forgotten": socketio.MaxTail + 50} {
		t.Run(name, func(t *testing.T) {
			var a, b *server
			log := &logWith{Cluster: memoryLog()}
			log.restore = func(n *logNode, ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
				s, missed, err := n.ClusterLog.RestoreSession(ctx, pid, offset)
				for i := range burst {
					_ = []*server{a, b}[i%2].Emit("n", i%2, i/2)
				}
				// Both nodes have sent them.
				for _, srv := range []*server{a, b} {
					eventually(t, func() bool { return srv.Posted("/") > uint64(burst) })
				}
				return s, missed, err
			}
			sockets := make(chan *socketio.Socket, 1)
			a, b = recovering(t, log, socketio.Options{}, announce(sockets))
			c := a.dial(t)
			k := come(t, c)
			_ = wait(t, sockets).Emit("one")
			k.stored(t, c, `"one"`)
			vanish(t, a, c)
			c = b.dial(t)
			c.send(k.again())
			seen := &sequence{t: t, claim: &k}
			for seen.count < burst {
				seen.take(c.next())
			}
			c.expect(k.welcome())
			_ = a.Emit("end")
			k.stored(t, c, `"end"`)
		})
	}
}

// Who returns gets of what was sent before what the log has, and nothing behind that:
// neither an event that the log lost, after one that it has, nor twice one of which
// it did not say that it has it.
func TestNothingFromBeforeTheReturn(t *testing.T) {
	for name, tt := range map[string]struct {
		has bool // though it does not say so
		err error
	}{
		"not taken":        {false, broker.ErrUnavailable},
		"in doubt":         {false, context.DeadlineExceeded},
		"taken, unnoticed": {true, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			// The answers of the log, in the order of the events, come when the client is
			// back.
			answers := make(chan func(), 4)
			log := &logWith{Cluster: memoryLog()}
			log.append = func(n *logNode, m *cluster.Message, done func(string, error)) error {
				switch text := string(m.Packet.Payload.JSON); {
				case strings.Contains(text, "lost"):
					answers <- func() { done("", tt.err) }
					if !tt.has {
						return nil
					}
					return n.ClusterLog.Append(m, func(string, error) {})
				case strings.Contains(text, "held"):
					return n.ClusterLog.Append(m, func(offset string, err error) { answers <- func() { done(offset, err) } })
				}
				return n.ClusterLog.Append(m, done)
			}
			sockets := make(chan *socketio.Socket, 1)
			srv := serve(t, socketio.Options{Cluster: log, Recovery: &socketio.RecoveryOptions{}, RequestTimeout: patience}, announce(sockets))
			c := srv.dial(t)
			k := come(t, c)
			_ = wait(t, sockets).Emit("one")
			k.stored(t, c, `"one"`)
			vanish(t, srv, c)
			_ = srv.Emit("lost", 1)
			_ = srv.Emit("lost", 2)
			_ = srv.Emit("held")

			c = srv.dial(t)
			c.send(k.again())
			if tt.has {
				k.stored(t, c, `"lost",1`)
				k.stored(t, c, `"lost",2`)
			}
			k.stored(t, c, `"held"`)
			c.expect(k.welcome())
			eventually(t, func() bool { return len(answers) == 3 })
			_ = srv.Emit("lost", 3)
			_ = srv.Emit("end")
			for range 4 {
				wait(t, answers)()
			}
			c.expect(`42["lost",3]`)
			k.stored(t, c, `"end"`)
			if st := srv.Stats(); st.Unlogged != 3 {
				t.Errorf("%d events are counted as unlogged", st.Unlogged)
			}
		})
	}
}

// A log that begins anew while a client returns makes the node forget what it sent
// last: the client is told by the log.
func TestRecoveryWhileTheLogBeginsAnew(t *testing.T) {
	var a, b *server
	var r broker.ClusterReceiver
	log := &logWith{Cluster: memoryLog()}
	log.restore = func(n *logNode, ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
		s, missed, err := n.ClusterLog.RestoreSession(ctx, pid, offset)
		_ = b.Emit("meanwhile")
		eventually(t, func() bool { return a.Posted("/") > 1 })
		r.Gap(broker.Gap{Reason: broker.Restarted, Lost: -1})
		return s, missed, err
	}
	nodes := &capture{log, make(chan broker.ClusterReceiver, 2)}
	sockets := make(chan *socketio.Socket, 1)
	a, b = recovering(t, nodes, socketio.Options{}, announce(sockets))
	r = wait(t, nodes.receivers)
	c := a.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	vanish(t, a, c)
	c = a.dial(t)
	c.send(k.again())
	k.stored(t, c, `"meanwhile"`)
	c.expect(k.welcome())
}

// Whoever was let into one namespace does not get into another, past its
// middleware, by what is kept of it. Node's secrets do not tell theirs.
func TestSessionsAreOfOneNamespace(t *testing.T) {
	log := &logWith{Cluster: memoryLog()}
	asked := make(chan string, 4)
	log.restore = func(n *logNode, ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
		asked <- pid
		return n.ClusterLog.RestoreSession(ctx, pid, offset)
	}
	srv := serve(t, socketio.Options{Cluster: log, Recovery: &socketio.RecoveryOptions{}}, func(io *socketio.Server) {
		io.Of("/admin").Use(func(*socketio.Socket) error { return errors.New("no") })
		io.OnConnection(func(s *socketio.Socket) { _ = s.Emit("one") })
	})
	c := srv.dial(t)
	k := come(t, c)
	k.stored(t, c, `"one"`)
	vanish(t, srv, c)
	c = srv.dial(t)
	admin := "40/admin," + strings.TrimPrefix(k.again(), "40")
	c.send(admin)
	c.expect(`44/admin,{"message":"no"}`)
	c.send(k.again())
	c.expect(k.welcome())
	if pid := wait(t, asked); pid != k.PID || len(asked) > 0 {
		t.Errorf("the log was asked for %q, and %d more", pid, len(asked))
	}
	long := claim{PID: strings.Repeat("x", 200), offset: k.offset}
	c = srv.dial(t)
	c.send(long.again()) // nor is it asked for just anything
	came(t, c)
	node := claim{PID: "abcdefghijklmnopqrst", offset: k.offset}
	c = srv.dial(t)
	c.send(node.again())
	came(t, c)
	if pid := wait(t, asked); pid != node.PID {
		t.Errorf("the log was asked for %q", pid)
	}
}

// A log that can't be reached makes a client that returns a new socket, soon.
func TestRecoveryWithoutTheLog(t *testing.T) {
	for name, restore := range map[string]func(*logNode, context.Context, string, string) (*cluster.Session, broker.Missed, error){
		"unavailable": func(*logNode, context.Context, string, string) (*cluster.Session, broker.Missed, error) {
			return nil, broker.Missed{}, broker.ErrUnavailable
		},
		"silent": func(_ *logNode, ctx context.Context, _, _ string) (*cluster.Session, broker.Missed, error) {
			<-ctx.Done()
			return nil, broker.Missed{}, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			sockets := make(chan *socketio.Socket, 1)
			log := &logWith{Cluster: memoryLog(), restore: restore}
			a, b := recovering(t, log, socketio.Options{RequestTimeout: 500 * time.Millisecond}, announce(sockets))
			c := a.dial(t)
			k := come(t, c)
			_ = wait(t, sockets).Emit("one")
			k.stored(t, c, `"one"`)
			vanish(t, a, c)
			c = b.dial(t)
			c.send(k.again())
			if got := c.next(); got == k.welcome() || !strings.HasPrefix(got, `40{"sid":"`) {
				t.Errorf("got %q", got)
			}
			if s := wait(t, sockets); s.Recovered() {
				t.Error("recovered")
			}
		})
	}
}

// A client that goes away while its state is fetched may still come back.
func TestRecoveryIsGivenBack(t *testing.T) {
	sockets := make(chan *socketio.Socket, 1)
	asked, goOn := make(chan struct{}, 4), make(chan struct{})
	log := &logWith{Cluster: memoryLog()}
	log.restore = func(n *logNode, ctx context.Context, pid, offset string) (*cluster.Session, broker.Missed, error) {
		asked <- struct{}{}
		<-goOn
		return n.ClusterLog.RestoreSession(ctx, pid, offset)
	}
	a, b := recovering(t, log, socketio.Options{}, announce(sockets))
	c := a.dial(t)
	k := come(t, c)
	_ = wait(t, sockets).Emit("one")
	k.stored(t, c, `"one"`)
	vanish(t, a, c)
	c = b.dial(t)
	c.send(k.again())
	wait(t, asked)
	c.conn.Close()
	eventually(t, func() bool { return b.Engine().Stats().Sessions == 0 })
	close(goOn)
	eventually(t, func() bool { return b.Asking() == 0 })
	c = a.dial(t)
	c.send(k.again())
	c.expect(k.welcome())
}

// Local delivery goes on without the log, in the order of the calls.
func TestEmitWithoutTheLog(t *testing.T) {
	var mu sync.Mutex
	var held []func()
	log := &logWith{Cluster: memoryLog()}
	log.append = func(_ *logNode, m *cluster.Message, done func(string, error)) error {
		text := string(m.Packet.Payload.JSON)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case strings.Contains(text, "held"):
			held = append(held, func() { done("", context.DeadlineExceeded) })
			return nil
		case strings.Contains(text, "refused"):
			return broker.ErrUnavailable
		}
		return nil // and it never answers
	}
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: log, Recovery: &socketio.RecoveryOptions{}, RequestTimeout: 100 * time.Millisecond}, announce(sockets))
	c := srv.dial(t)
	come(t, c)
	s := wait(t, sockets)
	if err := srv.Emit("held"); err != nil {
		t.Error(err)
	}
	if err := srv.Emit("refused"); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	s.Join("r")
	_ = srv.To("r").Volatile().Emit("volatile")
	_ = srv.Local().Emit("local")
	mu.Lock()
	answer := held[0]
	mu.Unlock()
	answer()
	c.expect(`42["held"]`, `42["refused"]`, `42["volatile"]`, `42["local"]`)
	_ = srv.Emit("unanswered")
	_ = s.Emit("bye")
	s.Disconnect(false)
	c.expect(`42["unanswered"]`, `42["bye"]`, `41`)
	if st := srv.Stats(); st.Unlogged != 4 {
		t.Errorf("%d events are counted as unlogged", st.Unlogged)
	}
}

// What the log tells passes what waits for the log, however much that is: the
// answers come from where the messages of other nodes do, and behind them.
func TestDeliveryPassesWhatWaitsForTheLog(t *testing.T) {
	answer := make(chan func(string, error), 1)
	log := &logWith{Cluster: memoryLog()}
	log.append = func(_ *logNode, _ *cluster.Message, done func(string, error)) error {
		answer <- done
		return nil
	}
	got := &capture{log, make(chan broker.ClusterReceiver, 1)}
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: got, Recovery: &socketio.RecoveryOptions{}, RequestTimeout: time.Minute}, announce(sockets))
	r := wait(t, got.receivers)
	c := srv.dial(t)
	come(t, c)
	s := wait(t, sockets)
	_ = srv.To("nobody").Emit("large", strings.Repeat("x", socketio.MaxBacklog))
	joined := make(chan struct{})
	go func() { // it waits for room
		s.Join("r")
		close(joined)
	}()
	eventually(t, func() bool { return srv.BacklogWaiters() > 0 })

	delivered := make(chan struct{})
	go func() {
		r.Deliver(foreign("9-5", "stored"))
		r.Deliver(foreign("", "plain"))
		r.Deliver(&cluster.Message{Kind: cluster.SocketsJoin, UID: "other", Namespace: "/", Rooms: []string{"by another"}})
		close(delivered)
	}()
	wait(t, delivered)
	c.expect(`42["stored","9-5"]`, `42["plain"]`)
	wait(t, answer)("10-0", nil)
	wait(t, joined)
	eventually(t, func() bool { return srv.Backlog() == 0 })
}

// What is refused before it is sent reaches nobody.
func TestLoggedEventThatCannotBeSent(t *testing.T) {
	srv := serve(t, socketio.Options{Cluster: memoryLog(), Recovery: &socketio.RecoveryOptions{}}, nil)
	if err := srv.Emit("connect"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("got %v", err)
	}
	if err := srv.Emit("x", make(chan int)); err == nil {
		t.Error("a channel can be sent")
	}
}

// capture is a log whose receivers a test has at hand.
type capture struct {
	broker.Cluster
	receivers chan broker.ClusterReceiver
}

func (c *capture) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := c.Cluster.Join(namespace, r)
	c.receivers <- r
	return n, err
}

// foreign is an event of another node.
func foreign(offset, text string, change ...func(*cluster.Message)) *cluster.Message {
	m := &cluster.Message{Kind: cluster.Broadcast, UID: "other", Namespace: "/", Offset: offset}
	m.Packet = cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["` + text + `"]`)}}
	for _, fn := range change {
		fn(m)
	}
	return m
}

// A client keeps the offset of the last event that had one: it must be the
// highest. Only plain events have one.
func TestOffsetsRise(t *testing.T) {
	log := &capture{memoryLog(), make(chan broker.ClusterReceiver, 1)}
	sockets := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: log, Recovery: &socketio.RecoveryOptions{}}, announce(sockets))
	r := wait(t, log.receivers)
	c := srv.dial(t)
	come(t, c)
	wait(t, sockets)
	r.Deliver(foreign("9-5", "a"))
	r.Deliver(foreign("9-4", "late"))
	r.Deliver(foreign("10-0", "b"))
	r.Deliver(foreign("11-0", "volatile", func(m *cluster.Message) { m.Options.Flags.Volatile = true }))
	r.Deliver(foreign("12-0", "acknowledged elsewhere", func(m *cluster.Message) { m.Packet.HasID = true }))
	r.Deliver(foreign("", "without"))
	r.Deliver(foreign("x", "malformed"))
	c.expect(`42["a","9-5"]`, `42["late"]`, `42["b","10-0"]`, `42["volatile"]`, `42["acknowledged elsewhere"]`, `42["without"]`, `42["malformed"]`)

	// A broker that has lost its log begins anew, perhaps below.
	r.Deliver(foreign("3-0", "below"))
	r.Gap(broker.Gap{Reason: broker.Restarted, Lost: -1})
	r.Deliver(foreign("4-0", "anew"))
	c.expect(`42["below"]`, `42["anew","4-0"]`)
}

func TestGaps(t *testing.T) {
	log := &capture{broker.NewMemoryCluster(), make(chan broker.ClusterReceiver, 1)}
	told := newJournal()
	srv := serve(t, socketio.Options{Cluster: log}, func(io *socketio.Server) {
		io.OnGap(func(nsp *socketio.Namespace, g broker.Gap) {
			told.add(fmt.Sprint(nsp.Name(), " ", g.Reason, " ", g.Lost))
			panic("as told")
		})
		io.OnGap(func(*socketio.Namespace, broker.Gap) { told.add("second") })
	})
	r := wait(t, log.receivers)
	r.Gap(broker.Gap{Reason: broker.Reconnected, Lost: -1})
	r.Gap(broker.Gap{Reason: broker.Overflow, Lost: 3})
	told.expect(t, "/ reconnected -1", "second", "/ overflow 3", "second")
	if st := srv.Stats(); st.ClusterGaps != 2 || st.ClusterGapLost != 3 || st.Panics != 2 {
		t.Errorf("%d gaps, %d lost, %d panics", st.ClusterGaps, st.ClusterGapLost, st.Panics)
	}
}
