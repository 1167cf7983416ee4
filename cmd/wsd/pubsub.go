package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
	browser "github.com/fe4bcecb/wsd/docs/client"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// openPubsub makes the server of the protocol wsd.json.v1. Call when there is an App,
// before its routes.
func (s *server) openPubsub() error {
	if s.daemonFlags == nil {
		return nil
	}
	opts := pubsub.Options{
		App:             s.app,
		ClientOf:        pubsubClientOf,
		Server:          s.sioFlags.ServerID,
		Limits:          s.pubsubLimits(),
		MaxPayload:      int(s.MaxPayload),
		MaxBackpressure: int(s.MaxBackpressure),
		CloseSlow:       s.BackpressurePolicy == "close",
		Renew:           s.renewPubsub,
		Members:         &broker.MemoryTopicMembers{},
		MaxMembers:      s.PubsubMaxMembers,
		Logger:          s.log,
	}
	if s.redis != nil {
		opts.Members = s.redis.TopicMembers()
	}
	speaker, err := pubsub.New(opts)
	if err != nil {
		return fmt.Errorf("/pubsub: %w", err)
	}
	s.pubsub = speaker
	s.onReload(s.reloadPubsub, "pubsub-ping", "pubsub-max-topics", "pubsub-max-pending")
	return nil
}

// reloadPubsub changes what clients may do from now on, and what new ones are told.
func (s *server) reloadPubsub(next *serveCmd) (func(), error) {
	return func() { s.pubsub.SetLimits(next.pubsubLimits()) }, nil
}

// pubsubRoutes serves it, and its client for browsers.
func (s *server) pubsubRoutes() {
	s.app.WS(s.PubsubPath, s.admission(s.pubsub.Behavior(s.base()), s.acceptPubsub))
	s.app.Handle("GET "+s.PubsubPath+"/client.js", http.HandlerFunc(servePubsubClient))
}

// closePubsub takes back what it told other servers. Call when the App was shut down.
func (s *server) closePubsub(ctx context.Context) {
	if s.pubsub == nil {
		return
	}
	if err := s.pubsub.Close(ctx); err != nil {
		s.log.Warn("the members of topics could not be taken back: other servers forget them in a few seconds", "err", err)
	}
}

// servePubsubClient serves the client for browsers.
func servePubsubClient(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", pubsubClientTag)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(browser.Script))
}

// pubsubClientTag names this version of the client.
var pubsubClientTag = fmt.Sprintf("\"%x\"", sha256.Sum256(browser.Script))

// pubsubMetrics registers what /pubsub counts.
func (s *server) pubsubMetrics() {
	now := new(pubsub.Stats)
	s.metrics.BeforeScrape(func() { *now = s.pubsub.Stats() })
	s.metrics.Gauge("wsd_pubsub_connections", "Open connections of /pubsub.", of(func() int { return now.Connections }))
	s.metrics.Gauge("wsd_pubsub_subscriptions", "Subscriptions of connections of /pubsub.", of(func() int { return now.Subscriptions }))
	s.metrics.Counter("wsd_pubsub_requests_total", "Messages that clients of /pubsub have sent.", of(func() uint64 { return now.Requests }))
	s.metrics.Counter("wsd_pubsub_published_total", "Publications of clients of /pubsub that the broker took.", of(func() uint64 { return now.Published }))
	s.metrics.CounterVec("wsd_pubsub_errors_total", "Errors that clients of /pubsub were told.", []string{"code"}, perLabel(&now.Errors))
	s.metrics.CounterVec("wsd_pubsub_recoveries_total", "Subscriptions of /pubsub that asked for what was missed: complete, incomplete or failed.", []string{"result"}, perLabel(&now.Recoveries))
	s.metrics.CounterVec("wsd_pubsub_gaps_total", "Gaps that clients of /pubsub were told.", []string{"reason"}, perLabel(&now.Gaps))
	s.metrics.CounterVec("wsd_pubsub_messages_dropped_total", "Messages that subscribers of /pubsub did not get: of a slow reader (reader), or of all of a loop that is too busy (loop).", []string{"by"}, func(emit metrics.Emit) {
		emit(float64(now.Dropped), "reader")
		emit(float64(now.Lost), "loop")
	})
	s.metrics.CounterVec("wsd_pubsub_presence_dropped_total", "Joins and leaves that subscribers of /pubsub were not told: of a slow reader (reader), or of all of a loop that is too busy (loop).", []string{"by"}, func(emit metrics.Emit) {
		emit(float64(now.PresenceDropped), "reader")
		emit(float64(now.PresenceLost), "loop")
	})
	s.metrics.Counter("wsd_pubsub_postponed_total", "Times that a slow reader of /pubsub was left to the log of a topic that keeps history.", of(func() uint64 { return now.Postponed }))
}

// perLabel tells a map by its keys.
func perLabel(values *map[string]uint64) func(metrics.Emit) {
	return func(emit metrics.Emit) {
		for label, n := range *values {
			emit(float64(n), label)
		}
	}
}

func pubsubClientOf(ws *engine.Conn) *pubsub.Client { return rawClientOf(ws).data.(*pubsub.Client) }

// acceptPubsub decides about a handshake of who may connect.
func (s *server) acceptPubsub(u *engine.Handshake, who *account) {
	if !slices.Contains(u.Protocols(), pubsub.Protocol) {
		s.reject(u, reasonBadRequest, http.StatusBadRequest, "this path speaks the subprotocol "+pubsub.Protocol+": offer it, as in new WebSocket(url, \""+pubsub.Protocol+"\"), or use /topics/{topic}, which needs none")
		return
	}
	s.welcome(u, who, s.pubsub.NewClient(pubsubAccount(who)), engine.Accept{Subprotocol: pubsub.Protocol})
}

// pubsubAccount is what a client may do.
func pubsubAccount(who *account) pubsub.Account {
	return pubsub.Account{User: userOf(who), Subscribe: who.maySubscribe, Publish: who.mayPublish}
}

// renewPubsub puts a new token in the place of the one that a client came with.
func (s *server) renewPubsub(ws *engine.Conn, token string) pubsub.Renewal {
	old := rawClientOf(ws).who
	return func(ctx context.Context) (func() pubsub.Account, error) {
		who, err := s.identity.reauthenticate(ctx, old, token)
		s.renewals.note(err)
		var why *refused
		switch {
		case errors.As(err, &why):
			return nil, &pubsub.Refused{Code: why.code, Text: why.message}
		case err != nil:
			return nil, err
		}
		return func() pubsub.Account {
			s.renew(ws, who)
			return pubsubAccount(who)
		}, nil
	}
}
