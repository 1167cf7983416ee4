package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

const (
	// walkTimeout bounds how long the loops may take to tell of connections.
	walkTimeout = 5 * time.Second
	// defaultLimit and maxLimit are of what a list holds.
	defaultLimit = 100
	maxLimit     = 1000
	// maxListedRooms bounds the rooms that are listed of a socket.
	maxListedRooms = 100
)

// The kinds of connection.
const (
	kindRaw = "raw"
	kindSIO = "sio"
)

// Connection describes a client of this server.
type Connection struct {
	// ID names it on this server. It is no secret: that of a Socket.IO client can't be
	// turned into its session's id.
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`      // raw or sio
	Transport string    `json:"transport"` // websocket or polling
	Remote    string    `json:"remote,omitempty"`
	Route     string    `json:"route,omitempty"`  // of a raw one: the pattern that it came by
	PubSub    string    `json:"pubsub,omitempty"` // of one of /pubsub: the id that it was told
	User      string    `json:"user,omitempty"`
	Since     time.Time `json:"since"`
	Buffered  int       `json:"buffered"` // bytes that wait for it
	Topics    int       `json:"topics"`   // of a raw one: that it is subscribed to
	Sockets   []Socket  `json:"sockets,omitempty"`
}

// Socket is a Socket.IO client in one namespace.
type Socket struct {
	ID        string   `json:"id"`
	Namespace string   `json:"nsp"`
	User      string   `json:"user,omitempty"`
	Rooms     []string `json:"rooms"`      // without that of its own id; the first 100
	RoomCount int      `json:"room_count"` // all
}

// Connections are some of a server's.
type Connections struct {
	Server      string       `json:"server"`
	Total       int          `json:"total"` // of the server
	Matching    int          `json:"matching"`
	Connections []Connection `json:"connections"`
}

// RawID names a WebSocket.
func RawID(id uint64) string { return "r" + strconv.FormatUint(id, 10) }

// SessionID names a Socket.IO client. It hides the session's id: whoever knows that has
// the session.
func SessionID(s *engineio.Session) string {
	sum := sha256.Sum256([]byte(s.ID()))
	return "s" + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// filter says which connections a list is of.
type filter struct {
	limit int
	slow  bool   // those with bytes that wait, the most first
	user  string // "": anybody's
	kind  string // "": both
}

func parseFilter(query url.Values) (f filter, err error) {
	if f.limit, err = number(query, "limit", defaultLimit, maxLimit); err != nil {
		return f, err
	}
	switch query.Get("slow") {
	case "", "0":
	case "1":
		f.slow = true
	default:
		return f, badRequest("slow: want 1 or 0")
	}
	f.user = query.Get("user")
	switch f.kind = query.Get("kind"); f.kind {
	case "", kindRaw, kindSIO:
	default:
		return f, badRequest("kind: want %s or %s", kindRaw, kindSIO)
	}
	return f, nil
}

// listing collects what matches a filter, in bounded memory.
type listing struct {
	filter
	matching int
	all      []Connection
}

// wants reports whether a connection is to be described. It counts it.
func (l *listing) wants(user string, buffered int) bool {
	if l.user != "" && user != l.user || l.slow && buffered == 0 {
		return false
	}
	l.matching++
	return len(l.all) < l.limit || l.slow && buffered > l.all[len(l.all)-1].Buffered
}

func (l *listing) add(c Connection) {
	at := len(l.all)
	if l.slow {
		if len(l.all) == l.limit {
			l.all = l.all[:l.limit-1]
		}
		at, _ = slices.BinarySearchFunc(l.all, c, func(a, b Connection) int { return cmp.Compare(b.Buffered, a.Buffered) })
	}
	l.all = slices.Insert(l.all, at, c)
}

// List tells of connections of this server: in no order, or with slow those that have
// bytes waiting, the most first.
func (a *API) list(ctx context.Context, f filter) (*listing, error) {
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	l := &listing{filter: f}
	if f.kind != kindSIO {
		err := a.opts.App.Conns(ctx, func(c *engine.Conn) bool {
			if who, ok := a.opts.Who(c); ok && l.wants(who.User, c.Buffered()) {
				l.add(rawConnection(c, who))
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	if f.kind != kindRaw {
		err := a.opts.IO.Clients(ctx, func(s *engineio.Session, sockets []*socketio.Socket) bool {
			if l.wants(userOf(sockets, f.user), s.Buffered()) {
				l.add(sioConnection(s, sockets))
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// rawConnection describes a WebSocket. Call on its loop.
func rawConnection(c *engine.Conn, who Client) Connection {
	x, remote := c.Info(), ""
	switch {
	case who.From.IsValid() && who.From != x.Remote.Addr().Unmap():
		remote = who.From.String() // a proxy has told
	case x.Remote.IsValid():
		remote = x.Remote.String()
	}
	out := Connection{
		ID: RawID(x.ID), Kind: kindRaw, Transport: engineio.WebSocket, Remote: remote, Route: x.Route,
		User: who.User, Since: x.Since.UTC(), Buffered: x.Buffered, Topics: x.Topics,
	}
	if who.Sub != nil {
		out.PubSub, out.Topics = who.Sub.ID(), who.Sub.NumTopics()
	}
	return out
}

// sioConnection describes a session. Call on its loop.
func sioConnection(s *engineio.Session, sockets []*socketio.Socket) Connection {
	x := Connection{
		ID: SessionID(s), Kind: kindSIO, Transport: s.Transport(), Remote: s.Request().RemoteAddr(),
		User: userOf(sockets, ""), Since: s.Request().Time().UTC().Truncate(time.Second), Buffered: s.Buffered(),
	}
	for _, socket := range sockets {
		rooms := slices.DeleteFunc(socket.Rooms(), func(room string) bool { return room == socket.ID() })
		y := Socket{ID: socket.ID(), Namespace: socket.Namespace().Name(), User: socket.User(), Rooms: rooms, RoomCount: len(rooms)}
		if len(rooms) > maxListedRooms {
			y.Rooms = rooms[:maxListedRooms]
		}
		x.Sockets = append(x.Sockets, y)
	}
	return x
}

// userOf is whose the sockets are: want, if one of them is that user's, or else the
// first user's, "" for nobody.
func userOf(sockets []*socketio.Socket, want string) (user string) {
	for _, s := range sockets {
		switch u := s.User(); {
		case u != "" && u == want:
			return u
		case user == "":
			user = u
		}
	}
	return user
}

func (a *API) connections(ctx context.Context, _ *http.Request, query url.Values) (any, error) {
	f, err := parseFilter(query)
	if err != nil {
		return nil, err
	}
	l, err := a.list(ctx, f)
	if err != nil {
		return nil, err
	}
	return Connections{
		Server: a.opts.ServerID, Total: a.opts.Connections(), Matching: l.matching,
		Connections: append([]Connection{}, l.all...),
	}, nil
}

func (a *API) connection(ctx context.Context, r *http.Request, _ url.Values) (any, error) {
	var found *Connection
	err := a.find(ctx, r.PathValue("id"),
		func(c *engine.Conn, who Client) { x := rawConnection(c, who); found = &x },
		func(s *engineio.Session, sockets []*socketio.Socket) { x := sioConnection(s, sockets); found = &x },
	)
	if err != nil {
		return nil, err
	}
	return found, nil
}

// find calls raw or sio for the connection of an id, on its loop.
func (a *API) find(ctx context.Context, id string, raw func(*engine.Conn, Client), sio func(*engineio.Session, []*socketio.Socket)) error {
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	found := false
	var err error
	switch {
	case strings.HasPrefix(id, "r"):
		n, malformed := strconv.ParseUint(id[1:], 10, 64)
		if malformed != nil {
			break
		}
		_, err = a.opts.App.Conn(ctx, n, func(c *engine.Conn) {
			if who, ok := a.opts.Who(c); ok {
				found = true
				raw(c, who)
			}
		})
	case strings.HasPrefix(id, "s"):
		err = a.opts.IO.Clients(ctx, func(s *engineio.Session, sockets []*socketio.Socket) bool {
			if SessionID(s) == id {
				found = true
				sio(s, sockets)
			}
			return !found
		})
	}
	if err == nil && !found {
		return notFound("there is no such connection on this server")
	}
	return err
}
