package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
)

const (
	tableShards = 64
	// idlePerShard bounds the addresses that are kept without a connection: 65,536
	// in all, some 5 MB.
	idlePerShard = 1024
	// siteBits are those of an IPv6 address that a site has: whoever has one address
	// has the 2^64 beside it.
	siteBits = 64
)

// Key is what stands for an address in a Table: an IPv4 address itself, also where
// it is written as IPv6, and the /64 of an IPv6 address, whatever its zone.
func Key(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	site, err := addr.Prefix(siteBits)
	if err != nil {
		return addr // an IPv6 address has 64 bits, so this is not reached
	}
	return site.Addr()
}

// Table knows, by the Key of an address, how many connections there are and how
// often one was tried. It has an entry for each address with a connection, and for
// at most 65,536 others, of which any may be forgotten for a new one. Its methods
// are safe from any goroutine. Make it with NewTable.
type Table struct {
	seed   maphash.Seed
	shards [tableShards]tableShard
}

type tableShard struct {
	mu      sync.Mutex
	entries map[netip.Addr]entry
	idle    int // entries without connections
}

type entry struct {
	connections int
	tries       Meter
}

// NewTable makes an empty Table.
func NewTable() *Table {
	t := &Table{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].entries = map[netip.Addr]entry{}
	}
	return t
}

func (t *Table) shard(key netip.Addr) *tableShard {
	return &t.shards[maphash.Comparable(t.seed, key)%tableShards]
}

// Try takes one try of an address from its bucket, unless that is empty.
func (t *Table) Try(addr netip.Addr, r Rate, now int64) bool {
	if !r.Limited() {
		return true
	}
	key := Key(addr)
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.entries[key]
	ok := e.tries.Take(r, now)
	if !known {
		s.makeRoom(now)
		s.idle++
	}
	s.entries[key] = e
	return ok
}

// makeRoom forgets an entry without connections if there are too many: one whose
// bucket is full again if one is at hand, else any.
func (s *tableShard) makeRoom(now int64) {
	if s.idle < idlePerShard {
		return
	}
	const looks = 16
	var found netip.Addr
	seen := 0
	for key, e := range s.entries {
		if e.connections > 0 {
			continue
		}
		found = key
		if seen++; seen == looks || int64(e.tries) <= now {
			break
		}
	}
	delete(s.entries, found)
	s.idle--
}

// Connections is how many connections an address has.
func (t *Table) Connections(addr netip.Addr) int {
	key := Key(addr)
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[key].connections
}

// Enter counts a connection of an address, unless it has limit of them; limit 0 is
// none. Each that was counted is to Leave.
func (t *Table) Enter(addr netip.Addr, limit int) bool {
	key := Key(addr)
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.entries[key]
	if limit > 0 && e.connections >= limit {
		return false
	}
	if known && e.connections == 0 {
		s.idle--
	}
	e.connections++
	s.entries[key] = e
	return true
}

// Leave ends what Enter has counted.
func (t *Table) Leave(addr netip.Addr, now int64) {
	key := Key(addr)
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	if e.connections--; e.connections > 0 {
		s.entries[key] = e
		return
	}
	if delete(s.entries, key); int64(e.tries) > now { // its tries still count
		s.makeRoom(now)
		s.idle++
		s.entries[key] = e
	}
}

// Len is the number of addresses that are known.
func (t *Table) Len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}
