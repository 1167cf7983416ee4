package bench

// tracker follows the sequence numbers that one receiver gets of one sender.
// It belongs to one goroutine.
type tracker struct {
	next    uint64 // all before were seen, or are in missing
	missing map[uint64]struct{}
}

// arrival says what a sequence number meant.
type arrival int

const (
	inOrder arrival = iota
	reordered
	duplicate
)

// see takes note of sequence number seq.
func (t *tracker) see(seq uint64) arrival {
	switch {
	case seq == t.next:
		t.next++
		return inOrder
	case seq > t.next:
		if t.missing == nil {
			t.missing = map[uint64]struct{}{}
		}
		for ; t.next < seq; t.next++ {
			t.missing[t.next] = struct{}{}
		}
		t.next++
		return inOrder // the ones it overtook are late, or lost
	}
	if _, late := t.missing[seq]; late {
		delete(t.missing, seq)
		return reordered
	}
	return duplicate
}

// lost is how many of the sent messages have not arrived.
func (t *tracker) lost(sent uint64) uint64 {
	return sent - t.next + uint64(len(t.missing))
}
