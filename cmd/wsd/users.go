package main

import (
	"sync"
	"time"
)

// member is one connection of a user on this server.
type member struct {
	user   string
	issued time.Time // of its token; zero: unknown
	at     int       // in its user's list
	// end closes the connection. It does not block; safe from any goroutine.
	end func(why ending)
}

// ending is why a connection is closed by name.
type ending uint8

const (
	endRevoked      ending = iota // the user's tokens count no more
	endDisconnected               // somebody wants the user gone
)

func (e ending) String() string { return [...]string{"token revoked", "disconnected"}[e] }

// userIndex knows the connections of each user on this server, whatever their path:
// as many entries as there are connections. Its methods are safe from any goroutine.
type userIndex struct {
	mu      sync.Mutex
	members map[string][]*member
}

// add takes m in. remove ends that, and may be called for one that is not in.
func (x *userIndex) add(m *member) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.members == nil {
		x.members = map[string][]*member{}
	}
	all := x.members[m.user]
	m.at = len(all)
	x.members[m.user] = append(all, m)
}

func (x *userIndex) remove(m *member) {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := x.members[m.user]
	if m.at >= len(all) || all[m.at] != m {
		return
	}
	last := len(all) - 1
	if last == 0 {
		delete(x.members, m.user)
		return
	}
	all[m.at] = all[last]
	all[m.at].at = m.at
	all[last] = nil
	x.members[m.user] = all[:last]
}

// of lists a user's connections.
func (x *userIndex) of(user string) []*member {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]*member(nil), x.members[user]...)
}

// users lists everybody who is connected.
func (x *userIndex) users() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	all := make([]string, 0, len(x.members))
	for user := range x.members {
		all = append(all, user)
	}
	return all
}
