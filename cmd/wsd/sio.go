package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/auth"
)

// sioApp is what wsd serves to Socket.IO clients; see docs/socketio.md.
type sioApp struct {
	flags *sioFlags
	*access
	rules *rules
	log   *slog.Logger
	io    *socketio.Server
}

// newSIOApp makes the app. join makes it one of several; full reports whether one
// more client is too many.
func newSIOApp(f *sioFlags, join func(*socketio.Options), access *access, origins []string, limit int, full func() bool, log *slog.Logger) (*sioApp, error) {
	a := &sioApp{flags: f, access: access, log: log}
	var err error
	if a.rules, err = newRules(f); err != nil {
		return nil, err
	}
	opts, err := f.options(origins)
	if err != nil {
		return nil, err
	}
	opts.Logger = log
	join(&opts)
	opts.Engine.MaxSessions, opts.Engine.Full = limit, full
	if f.AtCapacity == "close" {
		opts.Engine.AtCapacity = engineio.CloseAfterOpen
	}
	opts.Engine.CheckOrigin = access.origin.session
	(&sioGuard{access, strings.TrimSuffix(f.SIOPath, "/")}).install(&opts)
	a.io = socketio.New(opts)
	for name, relays := range a.rules.relays {
		a.serve(a.io.Of(name), relays)
	}
	return a, nil
}

// serve gives a namespace its events.
func (a *sioApp) serve(nsp *socketio.Namespace, relays map[string]*auth.Patterns) {
	nsp.Use(a.admit)
	nsp.OnConnection(a.connected)
	nsp.OnDisconnect(func(s *socketio.Socket, _ string) { a.detach(accountOf(s)) })
	nsp.On(eventJoin, a.answering(a.join))
	nsp.On(eventLeave, a.answering(a.leave))
	nsp.On(eventAuth, a.answering(a.renew))
	for event, patterns := range relays {
		nsp.On(event, a.answering(func(e *socketio.Event) error { return a.relay(e, event, *patterns) }))
	}
}

// admit is the middleware that finds out who a client is.
func (a *sioApp) admit(s *socketio.Socket) error {
	request := s.Session().Request()
	who, err := a.identity.identify(context.Background(), &credentials{
		auth:    s.Auth(),
		header:  request.Header,
		cookies: func() []*http.Cookie { return (&http.Request{Header: request.Headers()}).Cookies() },
		query:   func() url.Values { return request.Query() },
	})
	if err == nil {
		if before, ok := userBefore(s); ok && before != who.User {
			err = &refused{codeUnauthorized, "the session belongs to somebody else"}
		}
	}
	if err != nil {
		var why *refused
		if errors.As(err, &why) {
			about := reasonAuth
			if why.code == codeBadRequest {
				about = reasonBadRequest
			}
			a.refusals.add(about, a.flags.SIOPath, caller{addr: addressOf(request)}.text(), 0, why.message)
			return socketio.Refuse(why.message, map[string]string{"code": why.code})
		}
		return err
	}
	s.SetData(who)
	return nil
}

// userBefore is whose socket this was before it returned, as this server or
// another one has told; ok is false where nobody has.
func userBefore(s *socketio.Socket) (user string, ok bool) {
	switch data := s.Data().(type) {
	case *account:
		return data.User, true
	case map[string]any:
		user, ok = data["user"].(string)
	}
	return user, ok
}

// accountOf is the account that admit has found.
func accountOf(s *socketio.Socket) *account {
	if who, ok := s.Data().(*account); ok {
		return who
	}
	return &account{}
}

// connected puts a socket into its rooms, and ends it when its token does.
func (a *sioApp) connected(s *socketio.Socket) {
	who := accountOf(s)
	s.Join(who.rooms...)
	if who.User != "" {
		// It fails only for a socket that has ended: identities were checked.
		_ = s.SetUser(who.User)
	}
	a.attach(s, who)
}

// attach has a socket end with its token, and by its user's name.
func (a *sioApp) attach(s *socketio.Socket, who *account) {
	if !who.expires.IsZero() {
		who.timer = time.AfterFunc(time.Until(who.expires), func() {
			a.expired.Add(1)
			_ = s.Emit(eventExpired) // who is gone already needs none
			s.Disconnect(true)
		})
	}
	if who.User != "" {
		who.member = &member{user: who.User, issued: who.issued, end: func(ending) { s.Disconnect(true) }}
		a.users.add(who.member)
		a.revoked.settled(who.member)
	}
}

// detach ends that.
func (a *sioApp) detach(who *account) {
	if who.timer != nil {
		who.timer.Stop()
	}
	if who.member != nil {
		a.users.remove(who.member)
	}
}

// renew handles auth({token}): what a fresh token gives counts from now on. The
// socket leaves the rooms that neither it nor the flags allow.
func (a *sioApp) renew(e *socketio.Event) error {
	err := a.tryRenew(e)
	a.renewals.note(err)
	return err
}

func (a *sioApp) tryRenew(e *socketio.Event) error {
	value, err := authField(e.Value(0), "token")
	if err != nil {
		return err
	}
	token, ok := value.Str()
	if !ok {
		return &refused{codeBadRequest, "want {token: text} as the first argument"}
	}
	s, old := e.Socket(), accountOf(e.Socket())
	who, err := a.identity.reauthenticate(context.Background(), old, token)
	if err != nil {
		return err
	}
	if !s.Connected() {
		return &refused{codeUnavailable, "the connection has ended"}
	}
	a.detach(old)
	s.SetData(who)
	a.attach(s, who)
	for _, name := range s.Rooms() {
		own := name == s.ID() || name == socketio.UserRoom(who.User)
		if !own && !slices.Contains(who.rooms, name) && !allows(name, who.User, a.rules.join, who.allow.Join) {
			s.Leave(name)
		}
	}
	s.Join(who.rooms...)
	return nil
}

// answering acknowledges an event with {ok: true} or the handler's *refused,
// if the client waits for that.
func (a *sioApp) answering(fn func(*socketio.Event) error) func(*socketio.Event) {
	type problem struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	type answer struct {
		OK    bool     `json:"ok,omitempty"`
		Error *problem `json:"error,omitempty"`
	}
	return func(e *socketio.Event) {
		reply := answer{OK: true}
		if err := fn(e); err != nil {
			var why *refused
			if !errors.As(err, &why) {
				a.log.Warn("an event could not be relayed", "namespace", e.Socket().Namespace().Name(), "err", err)
				why = &refused{codeUnavailable, "try again"}
			}
			reply = answer{Error: &problem{why.code, why.message}}
		}
		if e.NeedsAck() {
			_ = e.Ack(reply) // the client may be gone
		}
	}
}

// room is the event's first argument: a room's name.
func room(e *socketio.Event) (string, error) {
	name, ok := e.Value(0).Str()
	if !ok {
		return "", &refused{codeBadRequest, "want a room's name as the first argument"}
	}
	if err := auth.CheckRoom(name); err != nil {
		return "", &refused{codeBadRequest, err.Error()}
	}
	return name, nil
}

// join handles join(room).
func (a *sioApp) join(e *socketio.Event) error {
	name, err := room(e)
	if err != nil {
		return err
	}
	s, who := e.Socket(), accountOf(e.Socket())
	switch {
	case !allows(name, who.User, a.rules.join, who.allow.Join):
		return &refused{codeForbidden, "you may not join this room"}
	case s.InRoom(name):
		return nil
	case len(s.Rooms()) >= a.flags.SIOMaxRooms+a.given(who):
		return &refused{codeLimit, fmt.Sprintf("at most %d rooms", a.flags.SIOMaxRooms)}
	}
	s.Join(name)
	return nil
}

// given is how many rooms a socket is in by itself: its own, its user's, and
// its token's.
func (a *sioApp) given(who *account) int {
	n := 1 + len(who.rooms)
	if who.User != "" {
		n++
	}
	return n
}

// leave handles leave(room).
func (a *sioApp) leave(e *socketio.Event) error {
	name, err := room(e)
	if err != nil {
		return err
	}
	who := accountOf(e.Socket())
	if !allows(name, who.User, a.rules.join, who.allow.Join) {
		return &refused{codeForbidden, "you may not leave this room"}
	}
	e.Socket().Leave(name)
	return nil
}

// relay sends an event on to the other members of the room in its first
// argument.
func (a *sioApp) relay(e *socketio.Event, event string, members auth.Patterns) error {
	name, err := room(e)
	if err != nil {
		return err
	}
	s, who := e.Socket(), accountOf(e.Socket())
	if !allows(name, who.User, who.allow.Publish) && !(s.InRoom(name) && allows(name, who.User, members)) {
		return &refused{codeForbidden, "you may not send this event to this room"}
	}
	args := e.Args()
	if a.flags.SIORelayUser {
		var user any
		if who.User != "" {
			user = who.User
		}
		args = append(args, user)
	}
	return s.To(name).Emit(event, args...)
}
