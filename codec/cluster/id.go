package cluster

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// ID is the id of an entry in a stream. The zero ID is before all entries.
type ID struct {
	Ms  uint64 // milliseconds since 1970, by the server's clock
	Seq uint64 // among those of one millisecond
}

// ParseID reads "ms-seq", and nothing that is shorter. The error is [ErrID].
func ParseID(s string) (ID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, ErrID
	}
	var id ID
	var err error
	if id.Ms, err = parseDigits(ms); err != nil {
		return ID{}, err
	}
	if id.Seq, err = parseDigits(seq); err != nil {
		return ID{}, err
	}
	return id, nil
}

// parseDigits reads digits only: a sign is none.
func parseDigits(s string) (uint64, error) {
	if s == "" || s[0] == '+' {
		return 0, ErrID
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, ErrID
	}
	return n, nil
}

// Compare is below 0 if id is before other, above 0 if it is behind it.
func (id ID) Compare(other ID) int {
	if c := cmp.Compare(id.Ms, other.Ms); c != 0 {
		return c
	}
	return cmp.Compare(id.Seq, other.Seq)
}

// Next is the first id behind id: where to read on. The last id has no next one,
// and returns itself.
func (id ID) Next() ID {
	switch {
	case id.Seq < math.MaxUint64:
		id.Seq++
	case id.Ms < math.MaxUint64:
		id = ID{Ms: id.Ms + 1}
	}
	return id
}

// String is the id as the server writes it.
func (id ID) String() string {
	var room [41]byte
	dst := strconv.AppendUint(room[:0], id.Ms, 10)
	return string(strconv.AppendUint(append(dst, '-'), id.Seq, 10))
}
