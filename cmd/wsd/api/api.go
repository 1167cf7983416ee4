// Package api is the HTTP API of wsd's admin listener, below /v1/: what a backend
// needs to publish and to emit, and an operator to see and to end connections.
// openapi.yaml describes it, docs/api.md shows how to use it.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// Options are an API's.
type Options struct {
	App *engine.App
	IO  *socketio.Server
	// Redis carries messages to the other servers, and keeps the answers of requests
	// with an idempotency key; nil: this server is alone.
	Redis *redis.Broker
	// ServerID is this server's name.
	ServerID string
	// PubSub serves /pubsub.
	PubSub *pubsub.Server
	// Who tells of a WebSocket's client. It is called on the connection's loop. ok is
	// false for a connection that is no client of its own, such as one of a Socket.IO
	// client.
	Who func(*engine.Conn) (c Client, ok bool)
	// Connections counts the clients of this server.
	Connections func() int
	// Drain begins to drain the server.
	Drain func()
	// EndUser ends a user's connections on all servers, with revoke also the tokens
	// that the user has now. closed counts those of this server.
	EndUser func(ctx context.Context, user string, revoke bool) (closed int, err error)
	// Overview is what the server tells of itself and of the others, with the history
	// since that an answer before named as the next.
	Overview func(ctx context.Context, since uint64) any
	// MaxBody bounds a request's body in bytes.
	MaxBody int64
	// KeepAnswers is how long a request with an idempotency key is remembered.
	KeepAnswers time.Duration
	Logger      *slog.Logger
}

// Client is who is at the other end of a WebSocket that is no Socket.IO client's.
type Client struct {
	User string         // "": nobody
	From netip.Addr     // the zero value where there is none
	Sub  *pubsub.Client // nil: not of /pubsub
}

// maxInFlight bounds the requests that are carried out at a time.
const maxInFlight = 256

// API serves the requests. Its methods are safe from any goroutine.
type API struct {
	opts     Options
	answers  answers
	inFlight chan struct{}
	routes   []*route
	counters
}

// New makes an API.
func New(opts Options) *API {
	a := &API{opts: opts, inFlight: make(chan struct{}, maxInFlight)}
	if opts.Redis != nil {
		a.answers = &sharedAnswers{opts.Redis, opts.KeepAnswers}
	} else {
		a.answers = newOwnAnswers(opts.KeepAnswers)
	}
	a.routes = a.table()
	return a
}

// table lists the routes.
func (a *API) table() []*route {
	return []*route{
		post("/v1/publish", a.publish).once(),
		post("/v1/batch", a.batch).once(),
		post("/v1/emit", a.emit).once(),
		post("/v1/disconnect", a.disconnect),
		post("/v1/drain", a.drain).answering(http.StatusAccepted),
		get("/v1/connections", a.connections, "limit", "slow", "user", "kind"),
		get("/v1/connections/{id}", a.connection),
		get("/v1/rooms", a.rooms, "limit", "nsp"),
		get("/v1/topics", a.topics, "limit"),
		get("/v1/users/{id}", a.user),
		get("/v1/nodes", a.nodes),
		get("/v1/overview", a.overview, "since"),
		get("/v1/workers", noWorkers),
		{method: http.MethodGet, path: "/v1/openapi.yaml", raw: serveDescription},
	}
}

// Register adds the routes to mux. What is below /v1/ and none of them is not found.
func (a *API) Register(mux *http.ServeMux) {
	for _, r := range a.routes {
		mux.Handle(r.path, a.serve(r))
	}
	mux.Handle("/v1/", a.serve(&route{path: "other", raw: func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, notFound("there is no such path: see /v1/openapi.yaml"))
	}}))
}
