package main

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

const (
	// scanEvery is how old a look at all topics, rooms and clients may be.
	scanEvery = 2 * time.Second
	// scanPatience bounds one: a loop may hang.
	scanPatience = time.Second
	// scanForget is how long nobody may have looked for rates of fan-out to be those
	// of the time since.
	scanForget = 15 * time.Second
	// shownPlaces are how many topics, rooms, clients are told of.
	shownPlaces = 12
	// slowFrom is how many bytes wait at least for a client that is called slow: what
	// is sent between two polls is no sign of it.
	slowFrom = 1 << 10
)

// placeScan finds the topics and rooms with most fan-out and the slowest clients.
// It looks at all there are, so only while somebody wants to know.
type placeScan struct {
	mu   sync.Mutex // held while it looks: who asks meanwhile waits for the same
	at   time.Time
	last places
}

// places are what a scan found.
type places struct {
	topics, rooms []placeView
	slowest       []clientView
}

// get returns what is not older than scanEvery, or what there is when ctx ends.
func (p *placeScan) get(ctx context.Context, s *server) places {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := time.Since(p.at)
	if age < scanEvery && !p.at.IsZero() {
		return p.last
	}
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	rate := func(messages uint64) *float64 {
		if p.at.IsZero() || age > scanForget {
			return nil
		}
		r := float64(messages) / age.Seconds()
		return &r
	}
	found := places{topics: []placeView{}, rooms: s.busiestRooms(ctx, rate), slowest: s.slowestClients(ctx)}
	for _, t := range s.app.FanOut(shownPlaces) {
		found.topics = append(found.topics, placeView{Name: shown(t.Name), Members: t.Subscribers, FanOut: rate(t.Messages)})
	}
	p.at, p.last = time.Now(), found
	return found
}

// busiestRooms are those of all namespaces.
func (s *server) busiestRooms(ctx context.Context, rate func(uint64) *float64) []placeView {
	type place struct {
		namespace string
		socketio.RoomFanOut
	}
	var all []place
	for _, n := range s.sio.io.Namespaces() {
		rooms, err := n.FanOut(ctx, shownPlaces)
		if err != nil {
			break // a loop does not answer: what there is must do
		}
		for _, r := range rooms {
			all = append(all, place{n.Name(), r})
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(a.RoomFanOut.Compare(b.RoomFanOut), cmp.Compare(a.namespace, b.namespace))
	})
	views := []placeView{}
	for _, r := range all[:min(len(all), shownPlaces)] {
		views = append(views, placeView{Namespace: shown(r.namespace), Name: shown(r.Name), Members: r.Members, FanOut: rate(r.Messages)})
	}
	return views
}

// slowestClients are those for whom most bytes wait.
func (s *server) slowestClients(ctx context.Context) []clientView {
	list := slowList{}
	// Where a loop does not answer, what there is must do.
	_ = s.app.Conns(ctx, func(c *engine.Conn) bool {
		if n := c.Buffered(); list.wants(n) {
			if who, raw := whoIs(c); raw {
				x := c.Info()
				remote := addrText(x.Remote)
				if who.From.IsValid() && who.From != x.Remote.Addr().Unmap() {
					remote = who.From.String() // as a trusted proxy says
				}
				list.add(clientView{Buffered: n, Kind: "raw", ID: api.RawID(x.ID), User: shown(who.User), Remote: remote, Path: shown(x.Route), Since: x.Since})
			}
		}
		return true
	})
	_ = s.sio.io.Clients(ctx, func(e *engineio.Session, sockets []*socketio.Socket) bool {
		if n := e.Buffered(); list.wants(n) {
			view := clientView{Buffered: n, Kind: "sio", ID: api.SessionID(e), Path: e.Transport(), Remote: shown(e.Request().RemoteAddr())}
			for _, x := range sockets {
				if user := x.User(); user != "" {
					view.User = shown(user)
				}
			}
			list.add(view)
		}
		return true
	})
	return list
}

// slowList keeps the slowest clients, the slowest first.
type slowList []clientView

// wants reports whether a client for whom n bytes wait belongs on the list.
func (l slowList) wants(n int) bool {
	return n >= slowFrom && (len(l) < shownPlaces || n > l[len(l)-1].Buffered)
}

func (l *slowList) add(v clientView) {
	at, _ := slices.BinarySearchFunc(*l, v.Buffered, func(x clientView, n int) int { return cmp.Compare(n, x.Buffered) })
	*l = slices.Insert(*l, at, v)
	*l = (*l)[:min(len(*l), shownPlaces)]
}

// shownName is how much of a name that clients chose is told, in bytes.
const shownName = 128

// shown cuts a name off where it is too long to be shown.
func shown(name string) string {
	if len(name) <= shownName {
		return name
	}
	cut := shownName
	for cut > 0 && name[cut]&0xC0 == 0x80 { // in the middle of a character
		cut--
	}
	return name[:cut] + "…"
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}
