package broker

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// memoryLogs are the logs of a Memory's durable topics.
type memoryLogs struct {
	mu     sync.Mutex
	topics map[string]*memoryTopic
	now    func() time.Time // nil: time.Now
	bytes  atomic.Int64     // of all messages that are kept, and of the logs
}

// entrySize is what a message that is kept counts beside its data, and logSize what a
// log does beside its name, in bytes.
const (
	entrySize = 64
	logSize   = 192
)

// shrinkLooks is how many logs are compared for the one that was not used for longest.
const shrinkLooks = 8

// memoryTopic is one topic's log. Its methods need mu.
type memoryTopic struct {
	mu   sync.Mutex
	name string
	keep Retention
	now  func() time.Time
	gone bool // forgotten: another one stands in its place, or none
	// born tells this log's offsets from those of another run, in ms.
	born int64
	last uint64 // sequence number of the newest message; 0: none yet
	kept []memoryEntry
	used time.Time // when the newest came
	sum  *atomic.Int64
}

// overhead is what the log counts beside its messages, in bytes.
func (t *memoryTopic) overhead() int64 { return int64(len(t.name) + logSize) }

type memoryEntry struct {
	seq    uint64
	at     time.Time
	data   []byte
	binary bool
}

// open returns a topic's log, locked; nil if it keeps none.
func (l *memoryLogs) open(topic string, durable func(string) (Retention, bool)) *memoryTopic {
	keep, ok := retained(topic, durable)
	if !ok {
		return nil
	}
	for {
		t := l.entry(topic, keep)
		t.mu.Lock()
		if !t.gone {
			return t
		}
		t.mu.Unlock() // forgotten meanwhile: once more
	}
}

func retained(topic string, durable func(string) (Retention, bool)) (Retention, bool) {
	if durable == nil {
		return Retention{}, false
	}
	return durable(topic)
}

// entry returns a topic's log, which it makes if there is none.
func (l *memoryLogs) entry(topic string, keep Retention) *memoryTopic {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.topics[topic]; t != nil {
		return t
	}
	if l.topics == nil {
		l.topics = map[string]*memoryTopic{}
	}
	l.sweepLocked()
	t := l.empty(topic, keep)
	l.topics[topic] = t
	l.bytes.Add(t.overhead())
	return t
}

// empty makes a log that is not kept yet.
func (l *memoryLogs) empty(topic string, keep Retention) *memoryTopic {
	now := l.now
	if now == nil {
		now = time.Now
	}
	at := now()
	return &memoryTopic{name: topic, keep: keep, now: now, born: at.UnixMilli(), used: at, sum: &l.bytes}
}

// history is Node.History. It keeps no log for a topic that has none.
func (l *memoryLogs) history(topic, since string, limit int, durable func(string) (Retention, bool)) (History, error) {
	keep, ok := retained(topic, durable)
	if !ok {
		return History{}, ErrNoHistory
	}
	l.mu.Lock()
	t := l.topics[topic]
	l.mu.Unlock()
	if t == nil {
		t = l.empty(topic, keep)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.history(topic, since, limit)
}

// sweepLocked forgets a few logs of which nothing is left, for each one that comes:
// topics that are used once don't pile up.
func (l *memoryLogs) sweepLocked() {
	looked := 0
	for _, t := range l.topics {
		if looked++; looked > 4 {
			return
		}
		// One that is in use is not old.
		if !t.mu.TryLock() {
			continue
		}
		t.trim()
		l.forgetLocked(t)
		t.mu.Unlock()
	}
}

// forgettable reports whether a log may be forgotten when nothing is left in it. One
// that was born in this millisecond stays: the next would give out the same offsets.
func (t *memoryTopic) forgettable() bool { return t.now().UnixMilli() > t.born }

// forgetLocked forgets a log, which is locked, if nothing is left in it.
func (l *memoryLogs) forgetLocked(t *memoryTopic) {
	if len(t.kept) > 0 || !t.forgettable() {
		return
	}
	t.gone = true
	delete(l.topics, t.name)
	l.bytes.Add(-t.overhead())
}

// shrink has logs lose messages while all together are too large. It looks at a few
// logs at a time, and at none that is in use.
func (l *memoryLogs) shrink(most int64) {
	if l.bytes.Load() <= most {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for range shrinkLooks {
		if victim := l.oldestLocked(); victim != nil {
			victim.drop((len(victim.kept) + 1) / 2)
			l.forgetLocked(victim)
			victim.mu.Unlock()
		}
		if l.bytes.Load() <= most {
			return
		}
	}
}

// oldestLocked returns, of a few logs from which there is something to gain, the one
// that was not used for longest, locked; nil if there is none, or all are in use.
func (l *memoryLogs) oldestLocked() *memoryTopic {
	var oldest *memoryTopic
	looks := 0
	for _, t := range l.topics {
		if looks++; looks > shrinkLooks {
			break
		}
		if !t.mu.TryLock() {
			continue
		}
		if len(t.kept) == 0 && !t.forgettable() || oldest != nil && !t.used.Before(oldest.used) {
			t.mu.Unlock()
			continue
		}
		if oldest != nil {
			oldest.mu.Unlock()
		}
		oldest = t
	}
	return oldest
}

// append keeps a copy of a message and returns its offset.
func (t *memoryTopic) append(m Message) string {
	t.last++
	t.used = t.now()
	t.kept = append(t.kept, memoryEntry{t.last, t.used, bytes.Clone(m.Data), m.Binary})
	t.sum.Add(int64(len(m.Data) + entrySize))
	t.trim()
	return t.offset(t.last)
}

// trim drops what is beyond the retention.
func (t *memoryTopic) trim() {
	n := 0
	if t.keep.Messages > 0 {
		n = max(0, len(t.kept)-t.keep.Messages)
	}
	if t.keep.Age > 0 {
		for oldest := t.now().Add(-t.keep.Age); n < len(t.kept) && t.kept[n].at.Before(oldest); {
			n++
		}
	}
	t.drop(n)
}

// drop forgets the n oldest messages.
func (t *memoryTopic) drop(n int) {
	size := 0
	for i := range t.kept[:n] {
		size += len(t.kept[i].data) + entrySize
	}
	t.sum.Add(-int64(size))
	clear(t.kept[:n])
	t.kept = t.kept[n:]
}

func (t *memoryTopic) offset(seq uint64) string {
	return strconv.FormatInt(t.born, 10) + "-" + strconv.FormatUint(seq, 10)
}

// history is Node.History of the log.
func (t *memoryTopic) history(topic, since string, limit int) (History, error) {
	born, after, err := parseOffset(since)
	if err != nil {
		return History{}, err
	}
	t.trim()
	var h History
	first := t.last + 1 // sequence number of the oldest that is kept
	if len(t.kept) > 0 {
		first = t.kept[0].seq
	}
	if t.last > 0 {
		h.Last = t.offset(t.last)
	}
	limit = max(0, limit)
	found := t.kept
	switch {
	case since == "":
		found = found[max(0, len(found)-limit):]
		found = found[len(found)-fitting(found, true):]
		h.Complete = first == 1 && len(found) == len(t.kept)
	case born == 0 && after == 0:
		h.Complete = first == 1 || t.last == 0
	case born != uint64(t.born) || after > t.last:
		// An offset of another run: everything is new.
	default:
		h.Complete = after+1 >= first
		if after >= first {
			found = found[after+1-first:]
		}
	}
	if n := min(fitting(found, false), limit); n < len(found) {
		found, h.More = found[:n], true
	}
	for _, e := range found {
		h.Messages = append(h.Messages, Message{Topic: topic, Data: bytes.Clone(e.data), Binary: e.binary, Offset: t.offset(e.seq)})
	}
	return h, nil
}

// fitting is how many messages make HistoryBytes, but one at least: of the oldest, or
// the newest.
func fitting(all []memoryEntry, newest bool) int {
	size := 0
	for i := range all {
		e := &all[i]
		if newest {
			e = &all[len(all)-1-i]
		}
		if size += len(e.data); size > HistoryBytes && i > 0 {
			return i
		}
	}
	return len(all)
}

// parseOffset reads "<ms>-<sequence>"; "" is zero.
func parseOffset(s string) (born, seq uint64, err error) {
	if s == "" {
		return 0, 0, nil
	}
	ms, n, _ := strings.Cut(s, "-")
	born, err = strconv.ParseUint(ms, 10, 64)
	if err == nil {
		seq, err = strconv.ParseUint(n, 10, 64)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%w: %.40q", ErrOffset, s)
	}
	return born, seq, nil
}
