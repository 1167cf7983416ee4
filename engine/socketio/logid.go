package socketio

import (
	"cmp"
	"strconv"
	"strings"
)

// logID is the offset of an event in a cluster's log, "<milliseconds>-<number>".
// The zero value is before all.
type logID struct{ ms, seq uint64 }

// parseLogID reads an offset; ok is false for what is none.
func parseLogID(s string) (id logID, ok bool) {
	ms, seq, found := strings.Cut(s, "-")
	var err, err2 error
	id.ms, err = strconv.ParseUint(ms, 10, 64)
	id.seq, err2 = strconv.ParseUint(seq, 10, 64)
	return id, found && err == nil && err2 == nil
}

// compare is negative when id is before other, 0 when they are the same.
func (id logID) compare(other logID) int {
	return cmp.Or(cmp.Compare(id.ms, other.ms), cmp.Compare(id.seq, other.seq))
}
