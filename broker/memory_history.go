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
	bytes  atomic.Int64     // of all messages that are kept
}

// entrySize is what a message that is kept counts beside its data, in bytes.
const entrySize = 64

// shrinkLooks is how many logs are compared for the one that was not used for longest.
const shrinkLooks = 8

// memoryTopic is one topic's log. Its methods need mu.
type memoryTopic struct {
	mu   sync.Mutex
	keep Retention
	now  func() time.Time
	// born tells this log's offsets from those of another run, in ms.
	born int64
	last uint64 // sequence number of the newest message; 0: none yet
	kept []memoryEntry
	used time.Time // when the newest came
	sum  *atomic.Int64
}

type memoryEntry struct {
	seq    uint64
	at     time.Time
	data   []byte
	binary bool
}

// of is a topic's log, nil if it keeps none.
func (l *memoryLogs) of(topic string, durable func(string) (Retention, bool)) *memoryTopic {
	if durable == nil {
		return nil
	}
	keep, ok := durable(topic)
	if !ok {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.topics[topic]; t != nil {
		return t
	}
	if l.topics == nil {
		l.topics = map[string]*memoryTopic{}
	}
	now := l.now
	if now == nil {
		now = time.Now
	}
	l.sweepLocked()
	t := &memoryTopic{keep: keep, now: now, born: now().UnixMilli(), sum: &l.bytes}
	l.topics[topic] = t
	return t
}

// sweepLocked forgets a few logs of which age has left nothing, for each one
// that comes: topics that are used once don't pile up.
func (l *memoryLogs) sweepLocked() {
	looked := 0
	for name, t := range l.topics {
		if looked++; looked > 4 {
			return
		}
		// One that is in use is not old.
		if !t.mu.TryLock() {
			continue
		}
		t.trim()
		if t.last > 0 && len(t.kept) == 0 {
			delete(l.topics, name)
		}
		t.mu.Unlock()
	}
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
			victim.mu.Unlock()
		}
		if l.bytes.Load() <= most {
			return
		}
	}
}

// oldestLocked returns, of a few logs that have something, the one that was not used
// for longest, locked; nil if all are in use.
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
		if len(t.kept) == 0 || oldest != nil && !t.used.Before(oldest.used) {
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
	if len(found) > limit {
		found, h.More = found[:limit], true
	}
	for _, e := range found {
		h.Messages = append(h.Messages, Message{Topic: topic, Data: bytes.Clone(e.data), Binary: e.binary, Offset: t.offset(e.seq)})
	}
	return h, nil
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
