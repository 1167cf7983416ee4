package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// data is an entry that differs from others by its number.
func data(n int) cluster.Entry { return cluster.Entry{Data: strconv.Itoa(n)} }

// TestOwnEntries has the server's answers and the reader come in any order, or not
// at all: done is called in the order of the entries.
func TestOwnEntries(t *testing.T) {
	refused, lost := notTaken(errors.New("refused")), errors.New("lost")
	for _, tt := range []struct {
		name string
		run  func(o *ownEntries, e []*ownEntry)
		want string
	}{
		{"answers, then the reader", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "2-0", nil)
			o.answer(e[2], "3-0", nil)
			o.read("1-0", data(1))
			o.read("2-0", data(2))
			o.read("3-0", data(3))
		}, "1-0 2-0 3-0 "},
		{"the reader, then answers", func(o *ownEntries, e []*ownEntry) {
			o.read("1-0", data(1))
			o.read("2-0", data(2))
			o.read("3-0", data(3))
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "2-0", nil)
			o.answer(e[2], "3-0", nil)
		}, "1-0 2-0 3-0 "},
		{"one that failed", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "", refused)
			o.answer(e[2], "3-0", nil)
			o.read("1-0", data(1))
			o.read("3-0", data(3))
		}, "1-0 refused 3-0 "},
		{"all failed", func(o *ownEntries, e []*ownEntry) {
			for _, x := range e {
				o.answer(x, "", refused)
			}
		}, "refused refused refused "},
		{"one that was trimmed before it was read", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "2-0", nil)
			o.answer(e[2], "3-0", nil)
			o.read("1-0", data(1))
			o.read("3-0", data(3))
		}, "1-0 2-0 3-0 "},
		{"nothing is read", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "2-0", nil)
			o.answer(e[2], "3-0", nil)
			o.overdue(time.Now()) // too early
			o.mu.Lock()
			for _, x := range e {
				x.known = x.known.Add(-ownDelay)
			}
			o.mu.Unlock()
			o.overdue(time.Now())
		}, "1-0 2-0 3-0 "},
		{"the reader knows those in doubt", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "", lost)
			o.answer(e[1], "", lost)
			o.answer(e[2], "", refused)
			o.read("1-0", data(1))
			o.read("2-0", data(2))
		}, "1-0 2-0 refused "},
		{"the reader comes to one behind those in doubt", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "", lost)
			o.answer(e[1], "", lost)
			o.answer(e[2], "3-0", nil)
			o.read("2-0", data(2))
			o.read("3-0", data(3))
		}, "lost 2-0 3-0 "},
		{"the reader does not come to those in doubt", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.answer(e[1], "", lost)
			o.answer(e[2], "", lost)
			o.read("1-0", data(1))
		}, "1-0 lost lost "},
		{"doubts come long behind the reader", func(o *ownEntries, e []*ownEntry) {
			o.read("1-0", data(1))
			o.read("7-0", data(7)) // of another process that calls itself the same
			o.read("2-0", data(2))
			o.inbox.do(func() { // behind reach, which has waited in vain
				o.answer(e[0], "1-0", nil)
				o.answer(e[1], "", lost)
				o.answer(e[2], "", refused)
			})
		}, "1-0 2-0 refused "},
		{"the node leaves", func(o *ownEntries, e []*ownEntry) {
			o.answer(e[0], "1-0", nil)
			o.close()
			o.answer(e[1], "2-0", nil)
			o.read("2-0", data(2))
		}, "closed closed closed "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			got := ""
			in := &inbox{maxMessages: 1, maxBytes: 1, receiver: broker.ClusterReceiver{Deliver: func(*cluster.Message) {}}}
			o := new(ownEntries)
			o.init(in, new(atomic.Uint64))
			var entries []*ownEntry
			for range 3 {
				e := &ownEntry{print: printOf(data(len(entries) + 1)), done: func(offset string, err error) {
					mu.Lock()
					defer mu.Unlock()
					switch {
					case errors.Is(err, broker.ErrClosed):
						offset = "closed"
					case errors.Is(err, broker.ErrUnavailable):
						offset = "refused"
					case err != nil:
						offset = err.Error()
					}
					got += offset + " "
				}}
				if err := o.push(e, 3, func() error { return nil }); err != nil {
					t.Fatal(err)
				}
				entries = append(entries, e)
			}
			if err := o.push(&ownEntry{}, 3, func() error { return nil }); !errors.Is(err, broker.ErrOverflow) {
				t.Errorf("one more than there may be: %v", err)
			}
			tt.run(o, entries)
			testkit.Eventually(t, func() bool {
				mu.Lock()
				defer mu.Unlock()
				return got == tt.want
			}, patience)
			in.close()
		})
	}
}

// TestOwnEntriesBehind has requests wait for the entries before them.
func TestOwnEntriesBehind(t *testing.T) {
	var lost atomic.Uint64
	o := new(ownEntries)
	o.init(&inbox{maxMessages: 10, maxBytes: 1 << 20, closed: true}, &lost)
	sent := ""
	behind := func(name string) error {
		return o.behind(3, 1000, 10, func() error { sent += name; return nil })
	}
	var entries [2]ownEntry
	nothing := func() error { return nil }
	err := errors.Join(behind("a"), o.push(&entries[0], 9, nothing), behind("b"), o.push(&entries[1], 9, nothing), behind("c"), behind("d"))
	if err != nil || sent != "a" {
		t.Errorf("sent %q, %v", sent, err)
	}
	if err := behind("too many"); !errors.Is(err, broker.ErrOverflow) || lost.Load() != 1 {
		t.Errorf("%v, %d are lost", err, lost.Load())
	}
	o.answer(&entries[0], "1-0", nil)
	if sent != "ab" {
		t.Errorf("sent %q behind the first", sent)
	}
	o.answer(&entries[1], "", notTaken(errors.New("refused")))
	if err := behind("e"); err != nil || sent != "abcde" {
		t.Errorf("sent %q behind the second, %v", sent, err)
	}
}

// TestOwnEntriesUnread has entries that nobody waits for, and no reader: they do
// not fill up what may wait.
func TestOwnEntriesUnread(t *testing.T) {
	o := new(ownEntries)
	o.init(&inbox{maxMessages: 10, maxBytes: 1 << 20}, new(atomic.Uint64))
	for i := range uint64(100) {
		e := new(ownEntry)
		if err := o.push(e, 2, func() error { return nil }); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		o.answer(e, cluster.ID{Ms: i + 1}.String(), nil)
	}
}

// TestLostAnswer has the connection break between an entry and the answer to it:
// the entry's offset is known all the same, by what the reader reads.
func TestLostAnswer(t *testing.T) {
	r := testkit.StartRedis(t)
	p := testkit.StartProxy(t, r.Addr)
	n := follow(t, openBroker(t, "redis://"+p.Addr, streamsOf), "/")
	told := make(chan string, 2)
	tell := func(offset string, err error) {
		if err != nil {
			offset = err.Error()
		}
		told <- offset
	}
	p.Stall(false, true)
	if err := n.Append(n.event("one"), tell); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return fmt.Sprint(r.Do("XLEN", n.stream)) == "1" }, patience)
	p.Cut()
	p.Stall(false, false)
	select {
	case offset := <-told:
		if entries := fmt.Sprint(r.Do("XRANGE", n.stream, offset, offset)); !strings.Contains(entries, "one") {
			t.Errorf("told %q, where there is %q", offset, entries)
		}
	case <-time.After(patience):
		t.Fatal("nothing was told")
	}
}
