package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/internal/auth"
)

// verifyTimeout bounds the verification of one token, keys being fetched.
const verifyTimeout = 10 * time.Second

// account is who a client is: nobody, or a user with what the token allows.
type account struct {
	User    string `json:"user"` // "" for an anonymous client
	rooms   []string
	allow   auth.Allow
	issued  time.Time // zero: not told
	expires time.Time // zero: never
	open    bool      // anybody may use topics, so this one may as well

	// Of a Socket.IO socket, in the hands of its handlers.
	timer  *time.Timer // at expires; nil: none
	member *member     // in the index of users; nil: nobody's
}

// maySubscribe and mayPublish hold a topic against the account of a raw connection;
// nil may use all.
func (who *account) maySubscribe(topic string) bool {
	return who == nil || who.open || who.allow.Subscribe.Match(topic, who.User)
}

func (who *account) mayPublish(topic string) bool {
	return who == nil || who.open || who.allow.Publish.Match(topic, who.User)
}

// credentials are what a request brings; each may be missing.
type credentials struct {
	auth      sio.Value // of Socket.IO; a zero Value: none
	protocols []string  // subprotocols that a WebSocket offers
	header    func(name string) string
	cookies   func() []*http.Cookie
	query     func() url.Values
}

// tokenProtocol begins a subprotocol that is a token: what pages can send with a
// WebSocket beside cookies.
const tokenProtocol = "bearer."

// refused is why a client is not let in: a code for programs beside the text.
type refused struct {
	code, message string
}

func (r *refused) Error() string { return r.message }

// codes of refusals and of events that are not allowed.
const (
	codeBadRequest   = "bad_request"
	codeUnauthorized = "unauthorized"
	codeForbidden    = "forbidden"
	codeExpired      = "expired"
	codeLimit        = "limit"
	codeUnavailable  = "unavailable"
	codeRevoked      = "revoked"
)

// identifier turns credentials into accounts.
type identifier struct {
	flags     *authFlags
	keys      *keys        // nil: no tokens
	believe   *userSource  // nil: not
	anonymous bool         // may clients be nobody?
	revoked   *revocations // nil: nobody's tokens are
}

func newIdentifier(flags *authFlags, anonymous bool, k *keys) *identifier {
	id := &identifier{flags: flags, keys: k, anonymous: anonymous || k == nil && flags.InsecureUserFrom == ""}
	if flags.InsecureUserFrom != "" {
		id.believe, _ = parseUserSource(flags.InsecureUserFrom) // check has read it
	}
	return id
}

// required reports whether a client needs a token.
func (id *identifier) required() bool { return id.keys != nil && !id.anonymous }

// identify may block. The error is a *refused.
func (id *identifier) identify(ctx context.Context, c *credentials) (*account, error) {
	switch {
	case id.keys != nil:
		token, err := id.token(c)
		if err != nil {
			return nil, err
		}
		if token == "" {
			break
		}
		return id.verify(ctx, token)
	case id.believe != nil:
		user, err := id.believe.user(c)
		if err == nil {
			err = id.revoked.check(ctx, user, time.Time{})
		}
		if err != nil || user != "" {
			return &account{User: user, open: true}, err
		}
	}
	if !id.anonymous {
		return nil, &refused{codeUnauthorized, "who are you? " + id.wants()}
	}
	return &account{open: true}, nil
}

// brings reports whether a client says who it is.
func (id *identifier) brings(c *credentials) bool {
	switch {
	case id.keys != nil:
		token, err := id.token(c)
		return token != "" || err != nil
	case id.believe != nil:
		user, err := id.believe.user(c)
		return user != "" || err != nil
	}
	return false
}

// wants says what a client has to bring.
func (id *identifier) wants() string {
	if id.keys != nil {
		return "a token is needed"
	}
	return "a user id is needed in " + id.flags.InsecureUserFrom
}

func (id *identifier) verify(ctx context.Context, token string) (*account, error) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	who, err := id.keys.verifier().Verify(ctx, token)
	switch {
	case errors.Is(err, auth.ErrExpired):
		return nil, &refused{codeExpired, err.Error()}
	case errors.Is(err, auth.ErrUnavailable):
		return nil, &refused{codeUnavailable, auth.ErrUnavailable.Error()} // without the address of the keys
	case err != nil:
		return nil, &refused{codeUnauthorized, err.Error()}
	}
	if err := id.revoked.check(ctx, who.User, who.Issued); err != nil {
		return nil, err
	}
	a := &account{User: who.User, rooms: who.Rooms, allow: who.Allow, issued: who.Issued, open: id.anonymous}
	if !who.Expires.IsZero() {
		a.expires = who.Expires.Add(id.flags.JWTLeeway)
	}
	return a, nil
}

// reauthenticate is what a fresh token gives a client that is connected as old. The
// user stays the same. It may block. The error is a *refused.
func (id *identifier) reauthenticate(ctx context.Context, old *account, token string) (*account, error) {
	if id.keys == nil {
		return nil, &refused{codeBadRequest, "this server takes no tokens"}
	}
	who, err := id.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	if user := userOf(old); user != who.User {
		return nil, &refused{codeUnauthorized, "the token is somebody else's: connect anew"}
	}
	return who, nil
}

// userOf is the user of an account, "" of none.
func userOf(who *account) string {
	if who == nil {
		return ""
	}
	return who.User
}

// token is the first that is found: in auth.token, among the subprotocols, in
// Authorization, and where it is allowed in the cookie and the query.
func (id *identifier) token(c *credentials) (string, error) {
	value, err := authField(c.auth, "token")
	if err != nil {
		return "", err
	}
	if !value.IsNull() {
		token, ok := value.Str()
		if !ok {
			return "", &refused{codeBadRequest, "auth.token is no string"}
		}
		return token, nil
	}
	for _, name := range c.protocols {
		if token, ok := strings.CutPrefix(name, tokenProtocol); ok {
			return token, nil
		}
	}
	if scheme, token, _ := strings.Cut(c.header("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token), nil
	}
	if name := id.flags.TokenCookie; name != "" {
		for _, cookie := range c.cookies() {
			if cookie.Name == name && cookie.Value != "" {
				return cookie.Value, nil
			}
		}
	}
	if name := id.flags.TokenQuery; name != "" {
		return c.query().Get(name), nil
	}
	return "", nil
}

// authField is a field of the auth payload, null when it or the payload is
// missing.
func authField(payload sio.Value, name string) (sio.Value, error) {
	var fields map[string]sio.Value
	if err := payload.Decode(&fields); err != nil {
		return sio.Value{}, &refused{codeBadRequest, "auth is no object"}
	}
	return fields[name], nil
}

// userSource is where --insecure-user-from finds the user id.
type userSource struct{ kind, name string }

func parseUserSource(s string) (*userSource, error) {
	kind, name, _ := strings.Cut(s, ".")
	switch kind {
	case "auth", "query", "header":
		if name != "" {
			return &userSource{kind, name}, nil
		}
	}
	return nil, fmt.Errorf("--insecure-user-from %s: want auth.NAME, query.NAME or header.NAME", s)
}

// user is what the client says that it is, "" for nothing. The error is a
// *refused.
func (s *userSource) user(c *credentials) (string, error) {
	var user string
	switch s.kind {
	case "auth":
		value, err := authField(c.auth, s.name)
		if err != nil || value.IsNull() {
			return "", err
		}
		text, isText := value.Str()
		if user = text; !isText {
			user = value.String()
			if strings.Trim(user, "0123456789") != "" {
				return "", &refused{codeUnauthorized, "a user id is a string or a whole number"}
			}
		}
	case "query":
		if values := c.query(); values.Has(s.name) {
			user = values.Get(s.name)
		} else {
			return "", nil
		}
	case "header":
		if user = c.header(s.name); user == "" {
			return "", nil
		}
	}
	if err := auth.CheckUser(user); err != nil {
		return "", &refused{codeUnauthorized, err.Error()}
	}
	return user, nil
}
