package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// slotCount is how many slots a Redis Cluster has.
const slotCount = 16384

// slots knows which master of a Cluster owns which slot.
type slots struct {
	kick chan struct{}

	mu      sync.RWMutex
	owners  [slotCount]string // host:port; "" where nobody is known
	masters []string          // sorted
}

func newSlots() *slots { return &slots{kick: make(chan struct{}, 1)} }

// slotOf is the slot of a key or a sharded channel: of what is between the first
// { and the } after it, where that is not empty.
func slotOf(key string) uint16 {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if end := strings.IndexByte(key[open+1:], '}'); end > 0 {
			key = key[open+1 : open+1+end]
		}
	}
	crc := uint16(0)
	for i := range len(key) {
		crc = crc<<8 ^ crc16[byte(crc>>8)^key[i]]
	}
	return crc % slotCount
}

// crc16 is the table of CRC-16/XMODEM.
var crc16 = func() (table [256]uint16) {
	for i := range table {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		table[i] = c
	}
	return table
}()

// owner returns the address of a slot's master, "" if it is not known.
func (s *slots) owner(slot uint16) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.owners[slot]
}

// setOwner takes what a server has said of one slot.
func (s *slots) setOwner(slot uint16, addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[slot] = addr
}

// nameAt makes a channel's name whose slot a server owns, by a hash tag; "" if it
// owns none.
func (s *slots) nameAt(addr, name string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !slices.Contains(s.owners[:], addr) {
		return ""
	}
	for i := uint64(0); i < 64*slotCount; i++ {
		tag := strconv.FormatUint(i, 36)
		if s.owners[slotOf(tag)] == addr {
			return name + "{" + tag + "}"
		}
	}
	return ""
}

// anyMaster returns the client of a master, at random: of another one than that at
// an address, if there is any.
func (s *slots) anyMaster(link rueidis.Client, but string) (rueidis.Client, string, error) {
	s.mu.RLock()
	masters := s.masters
	s.mu.RUnlock()
	nodes := link.Nodes()
	for _, i := range rand.Perm(len(masters)) {
		if node := nodes[masters[i]]; node != nil && masters[i] != but {
			return node, masters[i], nil
		}
	}
	if node := nodes[but]; node != nil && slices.Contains(masters, but) {
		return node, but, nil
	}
	return nil, "", errors.New("no master of the Cluster is known")
}

// refresh asks the nodes of a Cluster, one after another until one answers, and
// reports whether anything has changed.
func (s *slots) refresh(ctx context.Context, link rueidis.Client) (changed bool, err error) {
	err = errors.New("no node is known")
	nodes := link.Nodes()
	addrs := slices.Collect(maps.Keys(nodes))
	for _, i := range rand.Perm(len(addrs)) {
		node := nodes[addrs[i]]
		if node == nil {
			continue
		}
		var owners *[slotCount]string
		if owners, err = askSlots(ctx, node, addrs[i]); err == nil {
			return s.install(owners), nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return false, fmt.Errorf("the Cluster's slots: %w", err)
}

// install takes a new map.
func (s *slots) install(owners *[slotCount]string) (changed bool) {
	seen := map[string]struct{}{}
	for _, addr := range owners {
		if addr != "" {
			seen[addr] = struct{}{}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = s.owners != *owners
	s.owners, s.masters = *owners, slices.Sorted(maps.Keys(seen))
	return changed
}

// askSlots asks one node, whose address stands where it does not know its own.
func askSlots(ctx context.Context, node rueidis.Client, addr string) (*[slotCount]string, error) {
	ranges, err := node.Do(ctx, node.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	owners := new([slotCount]string)
	for _, r := range ranges {
		fields, err := r.ToArray()
		if err != nil || len(fields) < 3 {
			return nil, errors.New("malformed CLUSTER SLOTS")
		}
		first, err1 := fields[0].AsInt64()
		last, err2 := fields[1].AsInt64()
		master, err3 := fields[2].ToArray()
		if err1 != nil || err2 != nil || err3 != nil || first < 0 || last >= slotCount || len(master) < 2 {
			return nil, errors.New("malformed CLUSTER SLOTS")
		}
		host, _ := master[0].ToString()
		port, err := master[1].AsInt64()
		if err != nil || host == "?" {
			continue
		}
		if host == "" {
			host, _, _ = net.SplitHostPort(addr)
		}
		for slot := first; slot <= last; slot++ {
			owners[slot] = net.JoinHostPort(host, strconv.FormatInt(port, 10))
		}
	}
	return owners, nil
}

// wake has the owners asked for soon.
func (s *slots) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// watchSlots keeps the owners of slots up to date, and moves channels to them.
func (h *hub) watchSlots() {
	tick := time.NewTicker(topologyRefresh)
	defer tick.Stop()
	for attempt := 0; ; {
		select {
		case <-h.ctx.Done():
			return
		case <-tick.C:
		case <-h.slots.kick:
		}
		ctx, cancel := context.WithTimeout(h.ctx, h.b.opts.CommandTimeout)
		link, _ := h.b.link.current()
		_, err := h.slots.refresh(ctx, link)
		cancel()
		attempt++
		if err == nil {
			attempt = 0
		} else if h.ctx.Err() == nil {
			h.b.log.Warn("redis: who owns which slot is not known", "error", err)
		}
		h.rehome()
		// Not more often than this, whatever is pushed.
		if !pause(h.ctx, backoff(attempt)) {
			return
		}
	}
}

// rehome moves each sharded channel to the connection of its slot's owner, and
// ends connections to servers that own nothing any more.
func (h *hub) rehome() {
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := false
	used := map[*conn]bool{}
	for _, c := range h.channels {
		if c.kind != sharded {
			continue
		}
		missed = h.rehomeLocked(c) || missed
		used[c.home] = true
	}
	if missed {
		h.b.count.gap(broker.Reconnected)
	}
	h.slots.mu.RLock()
	masters := h.slots.masters
	h.slots.mu.RUnlock()
	for addr, shard := range h.shards {
		if !used[shard] && !slices.Contains(masters, addr) {
			delete(h.shards, addr)
			shard.cancel()
		}
	}
}

// rehomeLocked moves a channel to where it belongs, and reports whether a
// listener misses it meanwhile.
func (h *hub) rehomeLocked(c *channel) (missed bool) {
	home := h.homeLocked(c)
	if home == c.home {
		h.dirtyLocked(c)
		return false
	}
	if old := c.home; old != nil {
		h.b.count.migrations.Add(1)
		delete(old.dirty, c)
		if c.asked {
			old.strays[c.channelKey] = struct{}{}
			old.signal()
		}
	}
	missed = c.dropLocked()
	c.home = home
	h.dirtyLocked(c)
	return missed
}

// moved says that a server has refused a channel because another one owns it.
func (h *hub) moved(c *channel, from *conn, addr string) {
	h.slots.setOwner(c.slot, addr)
	h.mu.Lock()
	if c.home == from {
		c.asked = false
		if h.rehomeLocked(c) {
			h.b.count.gap(broker.Reconnected)
		}
	}
	h.mu.Unlock()
	h.slots.wake()
}

// dropped says that a server has unsubscribed a channel. Where it was not asked
// to, the channel's slot has gone to another server.
func (h *hub) dropped(from *conn, key channelKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[key]
	if c == nil || c.home != from || !c.asked {
		return // we have asked
	}
	if c.dropLocked() {
		h.b.count.gap(broker.Reconnected)
	}
	if key.kind == sharded && h.b.clustered() {
		// The server that has dropped it answers with the new owner's address.
		h.slots.wake()
	}
	h.dirtyLocked(c)
}
