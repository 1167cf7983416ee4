package main

import (
	"context"
	"net/http"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// apiRoutes serves the HTTP API below /v1/, and registers what it counts.
func (s *server) apiRoutes(mux *http.ServeMux) {
	a := api.New(api.Options{
		App: s.app, IO: s.sio.io, PubSub: s.pubsub, Redis: s.redis, ServerID: s.sioFlags.ServerID,
		Who: whoIs, EndUser: s.endUser, Connections: s.connections, Drain: s.beginDrain,
		Overview: func(ctx context.Context, since uint64) any { return s.monitor.overview(ctx, since) },
		MaxBody:  int64(s.APIMaxBody), KeepAnswers: s.APIKeepAnswers, Logger: s.log,
	})
	a.Register(mux)
	a.Count(&s.metrics)
}

// whoIs is api.Options.Who.
func whoIs(ws *engine.Conn) (who api.Client, ok bool) {
	c, ok := ws.UserData().(*rawClient)
	if !ok || c.away {
		return who, false
	}
	who.From = c.from
	who.User = userOf(c.who)
	who.Sub, _ = c.data.(*pubsub.Client) // nil for another route's
	return who, true
}

// endUser is api.Options.EndUser.
func (s *server) endUser(ctx context.Context, user string, revoke bool) (closed int, err error) {
	if revoke {
		return s.revoke(ctx, user, time.Now())
	}
	return s.disconnectUser(ctx, user)
}
