package main

import (
	"fmt"
	"strings"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/auth"
)

// rules are what clients may do in each namespace beyond their tokens.
type rules struct {
	join   auth.Patterns
	relays map[string]map[string]*auth.Patterns // by namespace and event: rooms that members may send to
}

// The events that are the app's own.
const (
	eventJoin    = "join"
	eventLeave   = "leave"
	eventAuth    = "auth"
	eventExpired = "expired"
)

func newRules(f *sioFlags) (*rules, error) {
	r := &rules{relays: map[string]map[string]*auth.Patterns{"/": {}}}
	var err error
	if r.join, err = auth.ParsePatterns(f.SIOAllowJoin); err != nil {
		return nil, usageError(fmt.Errorf("--sio-allow-join: %w", err))
	}
	for _, name := range f.SIONamespace {
		if !strings.HasPrefix(name, "/") || strings.Contains(name, ",") {
			return nil, usageError(fmt.Errorf("--sio-namespace %s: want a name such as /chat", name))
		}
		r.namespace(name)
	}
	for _, given := range f.SIORelay {
		if err := r.addRelay(given); err != nil {
			return nil, usageError(fmt.Errorf("--sio-relay %s: %w", given, err))
		}
	}
	return r, nil
}

// namespace returns the relays of a namespace, which it adds.
func (r *rules) namespace(name string) map[string]*auth.Patterns {
	if r.relays[name] == nil {
		r.relays[name] = map[string]*auth.Patterns{}
	}
	return r.relays[name]
}

// addRelay reads [NAMESPACE:]EVENT[=PATTERN]. Several with the same event add
// up.
func (r *rules) addRelay(given string) error {
	namespace, rest := "/", given
	if strings.HasPrefix(given, "/") {
		var ok bool
		if namespace, rest, ok = strings.Cut(given, ":"); !ok {
			return fmt.Errorf("want NAMESPACE:EVENT behind a slash")
		}
	}
	event, pattern, some := strings.Cut(rest, "=")
	switch event {
	case "":
		return fmt.Errorf("want an event")
	case eventJoin, eventLeave, eventAuth, eventExpired:
		return fmt.Errorf("the event %q has a meaning of its own", event)
	}
	if sio.IsReserved(event) {
		return fmt.Errorf("the event %q is the library's own", event)
	}
	relays := r.namespace(namespace)
	if relays[event] == nil {
		relays[event] = &auth.Patterns{}
	}
	if !some {
		return nil
	}
	p, err := auth.ParsePattern(pattern)
	if err != nil {
		return err
	}
	*relays[event] = append(*relays[event], p)
	return nil
}

// userRooms begins the names of the rooms that hold a user's own sockets.
const userRooms = "user:"

// allows reports whether one of the lists allows the room. A user's own room
// needs a pattern that spells out its prefix: a plain * does not let anybody
// listen in on somebody else.
func allows(room, user string, lists ...auth.Patterns) bool {
	for _, ps := range lists {
		if strings.HasPrefix(room, userRooms) {
			ps = ps.Spelling(userRooms)
		}
		if ps.Match(room, user) {
			return true
		}
	}
	return false
}
