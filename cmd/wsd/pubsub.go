package main

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// pubsubRoutes serves the protocol wsd.json.v1.
func (s *server) pubsubRoutes() {
	opts := pubsub.Options{
		App:             s.app,
		ClientOf:        pubsubClientOf,
		Server:          s.sioFlags.ServerID,
		Ping:            s.PubsubPing,
		MaxPayload:      int(s.MaxPayload),
		MaxBackpressure: int(s.MaxBackpressure),
		CloseSlow:       s.BackpressurePolicy == "close",
		MaxTopics:       s.PubsubMaxTopics,
		MaxPending:      s.PubsubMaxPending,
		Renew:           s.renewPubsub,
		Logger:          s.log,
	}
	s.pubsub = pubsub.New(opts)
	s.app.WS(s.PubsubPath, s.admission(s.pubsub.Behavior(s.base()), s.acceptPubsub))
	s.app.OnShutdown(func(context.Context) { s.pubsub.Close() })
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
