package bench

import (
	"errors"
	"fmt"
	"os"
)

// Faults counts what a server did wrong. The zero value is a clean run.
type Faults struct {
	Lost       uint64 `json:"lost"`       // never arrived
	Duplicated uint64 `json:"duplicated"` // arrived more than once
	Reordered  uint64 `json:"reordered"`  // arrived after a later one
	Corrupt    uint64 `json:"corrupt"`    // changed, or unknown
	Unexpected uint64 `json:"unexpected"` // sent to a connection it was not for
	Closed     uint64 `json:"closed"`     // connections that ended, or fell silent
	First      string `json:"first,omitempty"`
}

func (f *Faults) add(g Faults) {
	f.Lost += g.Lost
	f.Duplicated += g.Duplicated
	f.Reordered += g.Reordered
	f.Corrupt += g.Corrupt
	f.Unexpected += g.Unexpected
	f.Closed += g.Closed
	if f.First == "" {
		f.First = g.First
	}
}

// closed notes that a connection ended early.
func (f *Faults) closed(err error) {
	f.Closed++
	if f.First != "" {
		return
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f.First = "no answer to the last ping"
		return
	}
	f.First = err.Error()
}

// arrived counts what a sequence number meant, and tells whether it settles a
// message.
func (f *Faults) arrived(a arrival) bool {
	switch a {
	case reordered:
		f.Reordered++
	case duplicate:
		f.Duplicated++
		return false
	}
	return true
}

// err is nil for a clean run.
func (f Faults) err() error {
	first := f.First
	f.First = ""
	if f == (Faults{}) {
		return nil
	}
	text := fmt.Sprintf("%d lost, %d duplicated, %d reordered, %d corrupt, %d unexpected, %d connections ended",
		f.Lost, f.Duplicated, f.Reordered, f.Corrupt, f.Unexpected, f.Closed)
	if first != "" {
		text += " (" + first + ")"
	}
	return fmt.Errorf("%w: %s", ErrFaults, text)
}
