package redis

import (
	"strings"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// tip is what a server tells of a stream as a whole (XINFO STREAM).
type tip struct {
	exists bool
	length int64
	first  cluster.ID // of the oldest entry; 0-0 if there is none
	last   cluster.ID // the last that was ever given out
	added  int64      // entries that ever were in it; -1: the server is older than 7.0
}

// parseTip reads the answer to XINFO STREAM: a stream that is not there is an
// empty one.
func parseTip(m rueidis.RedisMessage) (tip, error) {
	if err := m.Error(); err != nil {
		if refused, ok := rueidis.IsRedisErr(err); ok && strings.Contains(refused.Error(), "no such key") {
			return tip{}, nil
		}
		return tip{}, err
	}
	fields, err := m.AsMap()
	if err != nil {
		return tip{}, err
	}
	t := tip{exists: true, added: -1}
	length := fields["length"]
	if t.length, err = length.AsInt64(); err != nil {
		return tip{}, err
	}
	if added, ok := fields["entries-added"]; ok {
		if t.added, err = added.AsInt64(); err != nil {
			return tip{}, err
		}
	}
	if first := fields["first-entry"]; !first.IsNil() {
		entry, err := first.AsXRangeSlice()
		if err != nil {
			return tip{}, err
		}
		if t.first, err = cluster.ParseID(entry.ID); err != nil {
			return tip{}, err
		}
	}
	last := fields["last-generated-id"]
	id, err := last.ToString()
	if err != nil {
		return tip{}, err
	}
	t.last, err = cluster.ParseID(id)
	return t, err
}

// recentIDs is how many of the entries that were read last are known again.
const recentIDs = 1024

// cursor is how far a stream was read, and how many entries that is: so it can
// tell what was removed before it was read. It does no I/O.
type cursor struct {
	began   cluster.ID // reading began behind it
	last    cluster.ID // of the entry that was read last
	ordinal int64      // of last among all entries that ever were in the stream; -1: not known

	recent [recentIDs]cluster.ID // a ring of what was read last
	read   int                   // entries that ever were put into it
}

// beginAt puts the cursor at the end of a stream: what is there already is not for
// this reader.
func beginAt(t tip) cursor { return cursor{began: t.last, last: t.last, ordinal: t.added} }

// advance notes that an entry was read.
func (c *cursor) advance(id cluster.ID) {
	if c.ordinal >= 0 {
		c.ordinal++
	}
	c.pass(id)
}

// pass notes that nothing up to an entry is to be read any more.
func (c *cursor) pass(id cluster.ID) {
	c.last = id
	c.recent[c.read%recentIDs] = id
	c.read++
}

// knows reports whether an entry was certainly read, or was there before.
func (c *cursor) knows(id cluster.ID) bool {
	if id.Compare(c.began) <= 0 {
		return true
	}
	for _, r := range c.recent[:min(c.read, recentIDs)] {
		if r == id {
			return true
		}
	}
	// Older than all that is remembered: a server came back with an old copy.
	return c.read >= recentIDs && id.Compare(c.recent[c.read%recentIDs]) < 0
}

// judge compares the cursor with a stream, of which k entries behind the cursor
// were read in the same moment, limit at most. It returns what is missing between
// the cursor and them (Reason 0: nothing), and whether they have to be read again,
// since the cursor was moved. Lost entries are counted into the cursor; behind
// those that were the newest, and are gone, it is moved.
func (c *cursor) judge(t tip, k, limit int) (g broker.Gap, again bool) {
	g, again = c.compare(t, k, limit)
	if !again && k == 0 && t.last.Compare(c.last) > 0 {
		c.pass(t.last)
	}
	return g, again
}

func (c *cursor) compare(t tip, k, limit int) (g broker.Gap, again bool) {
	switch {
	case !t.exists && c.last == cluster.ID{}:
		c.ordinal = 0
		return broker.Gap{}, false
	case !t.exists:
		*c = cursor{}
		return broker.Gap{Reason: broker.Restarted, Lost: -1}, true
	case t.last.Compare(c.last) < 0:
		c.rewind(t)
		return broker.Gap{Reason: broker.Restarted, Lost: -1}, true
	case t.added < 0:
		return c.judgeByIDs(t, k), false
	}
	atTip := k < limit
	switch read := c.ordinal + int64(k); {
	case c.ordinal < 0:
		if atTip {
			c.ordinal = t.added - int64(k)
		}
	case t.added < read: // fewer than were read: it is another stream
		c.ordinal = -1
		if atTip {
			c.ordinal = t.added - int64(k)
		}
		return broker.Gap{Reason: broker.Restarted, Lost: -1}, false
	case atTip:
		return c.miss(t.added - read), false
	default:
		return c.miss(t.added - t.length - c.ordinal), false
	}
	return broker.Gap{}, false
}

// rewind moves the cursor to a stream that ends before it. If its last entry was
// read, the server has come back with an old copy, of which nothing is new.
// Otherwise it began anew, by a clock that is behind, and everything is.
func (c *cursor) rewind(t tip) {
	if c.knows(t.last) {
		c.last, c.ordinal = t.last, t.added
	} else {
		*c = cursor{}
		if t.added < 0 {
			c.ordinal = -1
		}
	}
}

// judgeByIDs is judge for servers that do not count: if the last entry that was
// read is not there any more, others may be missing behind it.
func (c *cursor) judgeByIDs(t tip, k int) broker.Gap {
	c.ordinal = -1
	if c.last != (cluster.ID{}) && (k > 0 && t.first.Compare(c.last) > 0 || k == 0 && t.last.Compare(c.last) > 0) {
		return broker.Gap{Reason: broker.Trimmed, Lost: -1}
	}
	return broker.Gap{}
}

// miss counts entries that were removed before they were read.
func (c *cursor) miss(n int64) broker.Gap {
	if n <= 0 {
		return broker.Gap{}
	}
	c.ordinal += n
	return broker.Gap{Reason: broker.Trimmed, Lost: n}
}
