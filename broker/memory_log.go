package broker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// Defaults of MemoryLogOptions.
const (
	DefaultLogMessages = 10_000
	DefaultLogBytes    = 64 << 20
	DefaultLogSessions = 100_000
)

// MemoryLogOptions bound what a [MemoryClusterLog] keeps. Beyond them the oldest
// goes.
type MemoryLogOptions struct {
	Messages int // 0: 10,000
	Bytes    int // of Message.Size; 0: 64 MiB
	Sessions int // 0: 100,000
}

// MemoryClusterLog is a [MemoryCluster] whose nodes are [ClusterLog]s. One log
// serves all namespaces; its offsets begin with the time, so that those of an
// earlier process are not taken for its own.
type MemoryClusterLog struct {
	nodes *MemoryCluster
	opts  MemoryLogOptions

	mu       sync.Mutex // before the locks of nodes: all get messages in the log's order
	entries  []*cluster.Message
	bytes    int        // of entries
	trimmed  cluster.ID // of the last entry that was dropped
	last     cluster.ID // of the newest entry
	sessions map[string]*keptSession
	leaving  []*keptSession // in the order of StoreSession; may hold those that were taken
}

// keptSession is a session and how long it may be taken; nil: it was.
type keptSession struct {
	*cluster.Session
	until time.Time
}

// NewMemoryClusterLog makes a cluster without nodes. It needs no closing.
func NewMemoryClusterLog(opts MemoryLogOptions) *MemoryClusterLog {
	now := cluster.ID{Ms: uint64(time.Now().UnixMilli())}
	return &MemoryClusterLog{
		nodes: NewMemoryCluster(),
		opts: MemoryLogOptions{
			Messages: cmp.Or(opts.Messages, DefaultLogMessages),
			Bytes:    cmp.Or(opts.Bytes, DefaultLogBytes),
			Sessions: cmp.Or(opts.Sessions, DefaultLogSessions),
		},
		trimmed:  now,
		last:     now,
		sessions: map[string]*keptSession{},
	}
}

// Join implements [Cluster]. The node is a [ClusterLog]; there is no error.
func (l *MemoryClusterLog) Join(namespace string, r ClusterReceiver) (ClusterNode, error) {
	n := &memoryLogNode{log: l}
	joined := make(chan struct{})
	deliver := r.Deliver
	r.Deliver = func(m *cluster.Message) {
		<-joined // the first message may come before Join has returned
		if m.UID == n.uid {
			n.answer(m.Offset)
			return
		}
		deliver(m)
	}
	node, err := l.nodes.Join(namespace, r)
	if err != nil {
		return nil, err
	}
	n.memoryMember = node.(*memoryMember)
	close(joined)
	return n, nil
}

// append gives a broadcast its offset and the other nodes the message with it;
// own says that its node gets it, too.
func (l *MemoryClusterLog) append(n *memoryMember, m *cluster.Message, own bool) (offset string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := nextID(l.last, time.Now())
	kept := *m
	kept.UID, kept.Offset = n.uid, next.String()
	// A node whose queue is full has lost it, which that node is told; the log
	// has it all the same.
	if err := n.Publish(&kept); err != nil && err != ErrOverflow {
		return "", err
	}
	if own {
		n.enqueue(&kept, kept.Size())
	}
	l.last = next
	l.entries = append(l.entries, &kept)
	l.bytes += kept.Size()
	k := 0
	for ; len(l.entries)-k > l.opts.Messages || l.bytes > l.opts.Bytes && k < len(l.entries); k++ {
		l.bytes -= l.entries[k].Size()
		l.trimmed, _ = cluster.ParseID(l.entries[k].Offset)
		l.entries[k] = nil
	}
	l.entries = l.entries[k:]
	return kept.Offset, nil
}

// store keeps a session, and drops those whose time is over or that are too many.
func (l *MemoryClusterLog) store(s *cluster.Session, ttl time.Duration) {
	now := time.Now()
	kept := &keptSession{s, now.Add(ttl)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.sessions[s.PID]; old != nil {
		old.Session = nil
	}
	l.sessions[s.PID] = kept
	l.leaving = append(l.leaving, kept)
	k := 0
	for ; k < len(l.leaving) && (l.leaving[k].Session == nil || now.After(l.leaving[k].until) || len(l.sessions) > l.opts.Sessions); k++ {
		if old := l.leaving[k]; old.Session != nil {
			delete(l.sessions, old.PID)
		}
		l.leaving[k] = nil
	}
	l.leaving = l.leaving[k:]
}

// take removes a session and returns it with what it has missed.
func (l *MemoryClusterLog) take(namespace, pid, offset string) (*cluster.Session, Missed, error) {
	since, err := cluster.ParseID(offset)
	if err != nil {
		return nil, Missed{}, ErrOffset
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.sessions[pid]
	if kept == nil || time.Now().After(kept.until) {
		return nil, Missed{}, ErrNoSession
	}
	s := kept.Session
	missed, err := l.missedLocked(namespace, s, since)
	if err != nil {
		return nil, Missed{}, err
	}
	delete(l.sessions, pid)
	kept.Session = nil
	return s, missed, nil
}

// missedLocked reads what is for a session after an offset. mu is held.
func (l *MemoryClusterLog) missedLocked(namespace string, s *cluster.Session, since cluster.ID) (Missed, error) {
	if since.Compare(l.trimmed) < 0 || since.Compare(l.last) > 0 {
		return Missed{}, ErrNoSession
	}
	k, _ := slices.BinarySearchFunc(l.entries, since, func(m *cluster.Message, at cluster.ID) int {
		id, _ := cluster.ParseID(m.Offset)
		if id.Compare(at) <= 0 {
			return -1
		}
		return 1
	})
	missed := Missed{Last: l.last.String()}
	for _, m := range l.entries[k:] {
		if m.Namespace == namespace && s.Wants(m) {
			missed.Messages = append(missed.Messages, m)
		}
	}
	return missed, nil
}

// memoryLogNode is one membership.
type memoryLogNode struct {
	*memoryMember
	log *MemoryClusterLog

	mu    sync.Mutex // around Append as a whole: no done is called meanwhile
	dones []func(offset string, err error)
}

// Publish implements [ClusterNode].
func (n *memoryLogNode) Publish(m *cluster.Message) error {
	if !isEvent(m) {
		return n.memoryMember.Publish(m)
	}
	_, err := n.log.append(n.memoryMember, m, false)
	return err
}

// PublishThen implements [ClusterNode]. It calls done before it returns.
func (n *memoryLogNode) PublishThen(m *cluster.Message, done func(offset string, err error)) error {
	if !isEvent(m) {
		return cluster.ErrMessage
	}
	offset, err := n.log.append(n.memoryMember, m, false)
	if err == nil {
		done(offset, nil)
	}
	return err
}

// Append implements [ClusterLog]. done is called where the message would be
// delivered, were it another node's.
func (n *memoryLogNode) Append(m *cluster.Message, done func(offset string, err error)) error {
	if !isEvent(m) {
		return cluster.ErrMessage
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.dones) >= maxClusterQueue {
		return ErrOverflow
	}
	n.dones = append(n.dones, done)
	if _, err := n.log.append(n.memoryMember, m, true); err != nil {
		n.dones = n.dones[:len(n.dones)-1]
		return err
	}
	return nil
}

// answer tells the first of those who wait that the log has its message.
func (n *memoryLogNode) answer(offset string) {
	n.mu.Lock()
	if len(n.dones) == 0 {
		n.mu.Unlock()
		return // the node has left meanwhile
	}
	done := n.dones[0]
	n.dones[0] = nil
	n.dones = n.dones[1:]
	n.mu.Unlock()
	done(offset, nil)
}

// Leave implements [ClusterNode].
func (n *memoryLogNode) Leave() {
	n.memoryMember.Leave()
	n.mu.Lock()
	dones := n.dones
	n.dones = nil
	n.mu.Unlock()
	if len(dones) == 0 {
		return
	}
	go func() {
		for _, done := range dones {
			done("", ErrClosed)
		}
	}()
}

// StoreSession implements [ClusterLog].
func (n *memoryLogNode) StoreSession(s *cluster.Session, ttl time.Duration) error {
	if n.hasLeft() {
		return ErrClosed
	}
	n.log.store(s, ttl)
	return nil
}

// RestoreSession implements [ClusterLog].
func (n *memoryLogNode) RestoreSession(_ context.Context, pid, offset string) (*cluster.Session, Missed, error) {
	if n.hasLeft() {
		return nil, Missed{}, ErrClosed
	}
	return n.log.take(n.namespace, pid, offset)
}

// MissedSince implements [ClusterLog].
func (n *memoryLogNode) MissedSince(_ context.Context, s *cluster.Session, offset string) (Missed, error) {
	since, err := cluster.ParseID(offset)
	switch {
	case n.hasLeft():
		return Missed{}, ErrClosed
	case err != nil:
		return Missed{}, ErrOffset
	}
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	return n.log.missedLocked(n.namespace, s, since)
}

func (n *memoryLogNode) hasLeft() bool {
	n.memoryMember.mu.Lock()
	defer n.memoryMember.mu.Unlock()
	return n.left
}

// nextID is the id after another, at a time.
func nextID(last cluster.ID, now time.Time) cluster.ID {
	if ms := uint64(now.UnixMilli()); ms > last.Ms {
		return cluster.ID{Ms: ms}
	}
	return last.Next() // also when the clock was set back
}
