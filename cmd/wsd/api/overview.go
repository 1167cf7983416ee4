package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/topk"
)

// Room is a Socket.IO room with its members on this server.
type Room struct {
	Namespace string `json:"nsp"`
	Room      string `json:"room"`
	Members   int    `json:"members"`
}

// Rooms are those of a server with the most members.
type Rooms struct {
	Server string `json:"server"`
	Rooms  []Room `json:"rooms"`
}

// Topic is a topic with its subscribers on this server.
type Topic struct {
	Topic       string `json:"topic"`
	Subscribers int    `json:"subscribers"`
}

// Topics are those of a server with the most subscribers.
type Topics struct {
	Server string  `json:"server"`
	Total  int     `json:"total"` // topics with subscribers
	Topics []Topic `json:"topics"`
}

// User is a user and where it is connected.
type User struct {
	User        string           `json:"user"`
	Online      bool             `json:"online"`
	Connections []UserConnection `json:"connections"` // the oldest first
}

// UserConnection is one of a user's connections, on any server.
type UserConnection struct {
	ID     string    `json:"id"` // the socket's
	Server string    `json:"server"`
	Since  time.Time `json:"since"`
	// Foreign is true where a program that is no wsd has told of it, such as a Node
	// server.
	Foreign bool `json:"foreign"`
}

// Nodes are the servers that are alive.
type Nodes struct {
	Server string `json:"server"` // this one
	Nodes  []Node `json:"nodes"`
}

// Node is a server.
type Node struct {
	ID      string    `json:"id"`
	Started time.Time `json:"started"`
	Self    bool      `json:"self"`
}

// DrainRequest is the body of POST /v1/drain.
type DrainRequest struct{}

// Draining tells of a drain that has begun.
type Draining struct {
	Draining    bool `json:"draining"`
	Connections int  `json:"connections"`
}

func (a *API) rooms(ctx context.Context, _ *http.Request, query url.Values) (any, error) {
	limit, err := number(query, "limit", defaultLimit, maxLimit)
	if err != nil {
		return nil, err
	}
	namespaces := a.opts.IO.Namespaces()
	if query.Has("nsp") {
		n, err := a.namespace(query.Get("nsp"))
		if err != nil {
			return nil, err
		}
		namespaces = []*socketio.Namespace{n}
	}
	all, err := a.topRooms(ctx, namespaces, limit)
	if err != nil {
		return nil, err
	}
	return Rooms{Server: a.opts.ServerID, Rooms: all}, nil
}

// topRooms are the largest rooms of some namespaces.
func (a *API) topRooms(ctx context.Context, namespaces []*socketio.Namespace, limit int) ([]Room, error) {
	ctx, cancel := context.WithTimeout(ctx, walkTimeout)
	defer cancel()
	top := topk.List{Limit: limit}
	byName := map[string]Room{}
	for _, n := range namespaces {
		some, err := n.TopRooms(ctx, limit)
		if err != nil {
			return nil, err
		}
		for _, x := range some {
			id := n.Name() + "\x00" + x.Name
			byName[id] = Room{n.Name(), x.Name, x.Count}
			top.Add(id, x.Count)
		}
	}
	all := make([]Room, 0, len(top.Items()))
	for _, x := range top.Items() {
		all = append(all, byName[x.Name])
	}
	return all, nil
}

func (a *API) topics(_ context.Context, _ *http.Request, query url.Values) (any, error) {
	limit, err := number(query, "limit", defaultLimit, maxLimit)
	if err != nil {
		return nil, err
	}
	out := Topics{Server: a.opts.ServerID, Total: a.opts.App.NumTopics(), Topics: []Topic{}}
	for _, x := range a.topTopics(limit) {
		out.Topics = append(out.Topics, Topic{x.Name, x.Count})
	}
	return out, nil
}

// subscribers is how many a topic has on this server, by whichever path.
func (a *API) subscribers(topic string) int {
	return a.opts.App.NumSubscribers(topic) + a.opts.PubSub.Subscribers(topic)
}

// topTopics are the topics with the most subscribers, among those that have the most
// by one path.
func (a *API) topTopics(limit int) []topk.Item {
	top := topk.List{Limit: limit}
	seen := map[string]bool{}
	for _, x := range slices.Concat(a.opts.App.TopTopics(maxLimit), a.opts.PubSub.TopTopics(maxLimit)) {
		if n := a.subscribers(x.Name); n > 0 && !seen[x.Name] {
			seen[x.Name] = true
			top.Add(x.Name, n)
		}
	}
	return top.Items()
}

func (a *API) user(ctx context.Context, r *http.Request, _ url.Values) (any, error) {
	id := r.PathValue("id")
	if err := broker.CheckUser(id); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	all, err := a.opts.IO.UserConnections(ctx, id)
	if err != nil {
		return nil, err
	}
	out := User{User: id, Online: len(all) > 0, Connections: []UserConnection{}}
	for _, c := range all {
		out.Connections = append(out.Connections, UserConnection{c.ID, c.Server, c.At.UTC(), c.Foreign})
	}
	return out, nil
}

func (a *API) nodes(ctx context.Context, _ *http.Request, _ url.Values) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	all, err := a.opts.IO.Servers(ctx)
	if err != nil {
		return nil, err
	}
	out := Nodes{Server: a.opts.ServerID, Nodes: []Node{}}
	for _, n := range all {
		out.Nodes = append(out.Nodes, Node{n.Name, n.Started.UTC(), n.Name == a.opts.ServerID})
	}
	return out, nil
}

func (a *API) overview(ctx context.Context, _ *http.Request, query url.Values) (any, error) {
	var since uint64
	if query.Has("since") {
		var err error
		if since, err = strconv.ParseUint(query.Get("since"), 10, 64); err != nil {
			return nil, badRequest("since: want the number that an answer before had as history.next")
		}
	}
	return a.opts.Overview(ctx, since), nil
}

// noWorkers answers where nobody stands in front who has some.
func noWorkers(context.Context, *http.Request, url.Values) (any, error) {
	return nil, notFound("this server has no workers: see --workers")
}

func (a *API) drain(_ context.Context, _ *DrainRequest) (any, error) {
	n := a.opts.Connections()
	a.opts.Drain()
	return Draining{Draining: true, Connections: n}, nil
}
