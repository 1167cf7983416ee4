package socketio

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

// Defaults of RecoveryOptions.
const (
	DefaultMaxDisconnection = 2 * time.Minute
	DefaultMaxPackets       = 100_000
	DefaultMaxBytes         = 64 << 20
	DefaultMaxSessions      = 100_000
)

// RecoveryOptions switch connection state recovery on: a client whose connection
// broke returns as the same socket, in its rooms, and gets what it has missed.
//
// Each event that is neither volatile nor wants an acknowledgement gets an
// offset as one more argument, as with Node's server. A client that has not got
// one with an offset yet, or none within MaxDisconnection, can't return.
//
// Where the nodes of Options.Cluster are a [broker.ClusterLog], that keeps events
// and sessions: clients may return to any node, and get what Local kept on one
// node neither with an offset nor afterwards. Events wait for the log before they
// are delivered, and what is done to a namespace's sockets afterwards waits behind
// them, acknowledgements excepted. Without, each node keeps its own.
type RecoveryOptions struct {
	// MaxDisconnection is how long a client may be away; 0: 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares runs the namespace's middleware for a client that returns,
	// too. Node's skipMiddlewares is the opposite, and its default as well.
	RunMiddlewares bool
	// MaxPackets, MaxBytes and MaxSessions bound what a namespace keeps on this
	// node; 0: 100,000, 64 MiB and 100,000. Beyond them the oldest goes, and who
	// needs it returns as a new socket. A cluster's log has its own limits.
	MaxPackets, MaxBytes, MaxSessions int
}

func (o RecoveryOptions) withDefaults() RecoveryOptions {
	if o.MaxDisconnection == 0 {
		o.MaxDisconnection = DefaultMaxDisconnection
	}
	if o.MaxPackets == 0 {
		o.MaxPackets = DefaultMaxPackets
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	return o
}

// store keeps a namespace's last events, and the state of sockets that may
// return. Its methods are safe from any goroutine unless they say otherwise.
type store interface {
	// newPID makes the secret by which a socket may return.
	newPID() string
	// keeps reports whether a broadcast is to be sent by emit. Others have no
	// offset, and who is away does not get them.
	keeps(b Broadcast) bool
	// emit sends an event with an offset: to this node's sockets, and to other
	// nodes unless the broadcast is local. done is Broadcast.emit's.
	emit(b Broadcast, payload sio.Payload, done taken) error
	// receive sends an event of another node to this node's sockets.
	receive(b Broadcast, m *cluster.Message) error
	// suspend keeps the state of a socket whose connection broke, before detach.
	// Call on the socket's loop.
	suspend(s *Socket)
	// waits reports whether restore and advance may block.
	waits() bool
	// restore takes the socket that a claim names: nobody else gets it. nil: there
	// is none, or what it has missed is gone.
	restore(c claim) *restored
	// giveBack keeps what restore has taken, as its client went away again.
	giveBack(x *restored)
	// resume takes up what a socket was before: its rooms, and the packets that it
	// has missed, to be sent before its CONNECT. Call on the loop, in the same turn
	// as attach and before it.
	resume(s *Socket, x *restored) ([]*engineio.Prepared, outcome)
	// advance reads more of what a socket has missed. It reports whether resume is
	// worth another try.
	advance(x *restored) bool
}

// outcome is how an attempt to resume ended.
type outcome uint8

const (
	resumed outcome = iota
	behind          // there is more to read: advance
	tooLate         // what was missed is gone
)

// maxClaim bounds the parts of a claim in bytes, which a server is asked for.
const maxClaim = 128

// claim is what a client shows that wants to be who it was.
type claim struct{ pid, offset string }

// restored is a socket that returns.
type restored struct {
	sid, pid string
	rooms    []string // without that of its own id
	leftOwn  bool
	data     any

	since uint64 // localStore: of the last event that it has

	// logStore's:
	session *cluster.Session
	missed  []*engineio.Prepared
	offset  string     // up to which the log was read
	last    cluster.ID // the same
	epoch   uint64     // of the log, when it was read
	rounds  int        // of advance
}

// in are the rooms that the socket is in.
func (x *restored) in() []string {
	if x.leftOwn {
		return x.rooms
	}
	return append([]string{x.sid}, x.rooms...)
}

// openStore makes the namespace's store, if there is to be one. node is its part
// in a cluster, or nil.
func (n *Namespace) openStore(node broker.ClusterNode) {
	if n.server.opts.Recovery == nil {
		return
	}
	opts := n.server.opts.Recovery.withDefaults()
	if log, ok := node.(broker.ClusterLog); ok {
		n.queue = &logQueue{patience: n.server.opts.RequestTimeout}
		n.store = newLogStore(n, log, opts)
		return
	}
	n.store = newLocalStore(n, opts)
}

// emitStored is Emit of an emitter under recovery: a broadcast to the socket, so
// that the event waits for it if it is away.
func (e Emitter) emitStored(event string, args []any) error {
	if sio.IsReserved(event) {
		return ErrReserved
	}
	s := e.socket
	payload, err := s.nsp.encodeArgs(eventArgs(event, args))
	if err != nil {
		return err
	}
	b := Broadcast{nsp: s.nsp, rooms: []string{s.id}, uncompressed: e.uncompressed}
	return s.nsp.store.emit(b, payload, nil)
}

// claim is who the client says that it was. ok is false for one that does not.
func (s *Socket) claim() (c claim, ok bool) {
	if s.nsp.store == nil || len(s.auth) == 0 {
		return claim{}, false
	}
	var auth struct {
		PID    any `json:"pid"`
		Offset any `json:"offset"`
	}
	// What can't be read is no claim.
	_ = json.Unmarshal(s.auth, &auth)
	c.pid, _ = auth.PID.(string)
	c.offset, _ = auth.Offset.(string)
	return c, c.pid != "" && c.offset != "" && max(len(c.pid), len(c.offset)) <= maxClaim && mayReturn(c.pid, s.nsp.name)
}

// reclaim finds out whether the client is one that returns, and goes on with
// greet.
func (c *client) reclaim(s *Socket, claimed claim) {
	st := s.nsp.store
	if !st.waits() {
		c.reclaimed(s, st.restore(claimed))
		return
	}
	c.aside(func() func() {
		x := st.restore(claimed)
		return func() { c.reclaimed(s, x) }
	})
}

// reclaimed goes on when it is known who the socket is; nil: a new one.
func (c *client) reclaimed(s *Socket, x *restored) {
	n := s.nsp
	switch {
	case !slices.Contains(c.sockets, s):
		if x != nil {
			n.store.giveBack(x)
		}
		c.dismiss(s)
	case x == nil:
		n.server.recoveriesFailed.Add(1)
		s.begin()
		c.greet(s, nil)
	default:
		s.id, s.pid, s.recovered = x.sid, x.pid, true
		s.SetData(x.data)
		if n.server.opts.Recovery.RunMiddlewares {
			c.greet(s, x)
			return
		}
		c.reenter(s, x)
	}
}

// reenter lets a socket in that was here before, with what it has missed. Where
// too much time has passed it is a new socket, which the middleware sees as one.
func (c *client) reenter(s *Socket, x *restored) {
	n := s.nsp
	missed, how := n.store.resume(s, x)
	switch how {
	case resumed:
		for _, p := range missed {
			c.session.SendPrepared(p)
		}
		n.server.recoveries.Add(1)
		c.admit(s)
	case behind:
		c.aside(func() func() {
			more := n.store.advance(x)
			return func() {
				switch {
				case !slices.Contains(c.sockets, s):
					n.store.giveBack(x)
					c.dismiss(s)
				case more:
					c.reenter(s, x)
				default:
					c.renew(s)
				}
			}
		})
	case tooLate:
		c.renew(s)
	}
}

// renew makes a socket that could not return a new one.
func (c *client) renew(s *Socket) {
	s.nsp.server.recoveriesFailed.Add(1)
	s.nsp.server.recoveriesLate.Add(1)
	s.recovered = false
	s.SetData(nil)
	s.begin()
	c.greet(s, nil)
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
