package socketio

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/broker"
)

// PartialError says that some of the other nodes did not answer in time: what
// came with it is what the others told. It is an ErrTimeout.
type PartialError struct {
	// Expected is how many other nodes there were, 0 where not even that was told in
	// time; Answered how many of them answered.
	Expected, Answered int
	// Silent are the names of those that did not, as far as they are known: Node
	// servers need not have one, nor say it when they answer.
	Silent []string
}

// Error names the silent nodes.
func (e *PartialError) Error() string {
	if e.Expected == 0 {
		return fmt.Sprintf("%v: it is not known how many other nodes there are; %d answered", ErrTimeout, e.Answered)
	}
	text := fmt.Sprintf("%v: %d of %d other nodes answered", ErrTimeout, e.Answered, e.Expected)
	if len(e.Silent) > 0 {
		text += "; silent: " + strings.Join(e.Silent, ", ")
	}
	return text
}

// Unwrap returns ErrTimeout.
func (e *PartialError) Unwrap() error { return ErrTimeout }

// roll is which other nodes are to answer a question, and which have. Whoever has
// one locks it.
type roll struct {
	known    bool // members are
	members  broker.Members
	heard    map[string]bool // by name
	nameless int             // answers without one
}

// call says who is to answer.
func (r *roll) call(members broker.Members) { r.known, r.members = true, members }

// named reports whether all who are to answer are known by name.
func (r *roll) named() bool { return r.known && len(r.members.UIDs) == r.members.Others }

// answer notes a node's answer. It returns false for one that does not count: the
// node's second one, or that of a node that has come since, or one too many.
func (r *roll) answer(uid string) bool {
	switch {
	case r.complete(), r.heard[uid]:
		return false
	case uid == "":
		r.nameless++
		return true
	case r.named() && r.nameless == 0 && !slices.Contains(r.members.UIDs, uid):
		return false
	}
	if r.heard == nil {
		r.heard = map[string]bool{}
	}
	r.heard[uid] = true
	return true
}

// knows reports whether a node's further answers count.
func (r *roll) knows(uid string) bool {
	return uid == "" || !r.named() || r.nameless > 0 || r.heard[uid] || slices.Contains(r.members.UIDs, uid)
}

// answered is how many of those who are to answer have.
func (r *roll) answered() int {
	n := len(r.heard) + r.nameless
	if r.named() && r.nameless == 0 {
		n = len(r.heard)
		for uid := range r.heard {
			if !slices.Contains(r.members.UIDs, uid) {
				n-- // it answered before it was known who was to
			}
		}
	}
	return n
}

// complete reports whether all have answered.
func (r *roll) complete() bool { return r.known && r.answered() >= r.members.Others }

// timeout is the error of a question whose time is over.
func (r *roll) timeout() error {
	if r.complete() {
		return ErrTimeout
	}
	e := &PartialError{Expected: r.members.Others, Answered: r.answered()}
	if r.nameless == 0 {
		for _, uid := range r.members.UIDs {
			if !r.heard[uid] {
				e.Silent = append(e.Silent, uid)
			}
		}
		slices.Sort(e.Silent)
	}
	return e
}
