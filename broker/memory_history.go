package broker

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memoryLogs are the logs of a Memory's durable topics.
type memoryLogs struct {
	mu     sync.Mutex
	topics map[string]*memoryTopic
	now    func() time.Time // nil: time.Now
}

// memoryTopic is one topic's log. Its methods need mu.
type memoryTopic struct {
	mu   sync.Mutex
	keep Retention
	now  func() time.Time
	// born tells this log's offsets from those of another run, in ms.
	born int64
	last uint64 // sequence number of the newest message; 0: none yet
	kept []memoryEntry
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
	t := &memoryTopic{keep: keep, now: now, born: now().UnixMilli()}
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

// append keeps a copy of a message and returns its offset.
func (t *memoryTopic) append(m Message) string {
	t.last++
	t.kept = append(t.kept, memoryEntry{t.last, t.now(), bytes.Clone(m.Data), m.Binary})
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
