package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// issued gives a token the time at which it was made.
func issued(at time.Time) func(*auth.Grant) { return func(g *auth.Grant) { g.IssuedAt = at } }

// mayAll lets a token use all topics.
func mayAll(g *auth.Grant) { g.Subscribe, g.Publish = []string{"**"}, []string{"**"} }

func bearerHeader(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// expectEnd reads until the end of a Socket.IO client's connection, which the server
// says.
func (s *sioClient) expectEnd() {
	s.t.Helper()
	if text := s.text(); text != "41" {
		s.t.Errorf("heard %s, want the end", text)
	}
}

func TestRawEndsWithItsToken(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--jwt-leeway", "0s")
	short := token(t, mayAll, func(g *auth.Grant) { g.Expires = time.Now().Add(5 * time.Second) })
	for _, target := range []string{"/echo", "/topics/a"} {
		c := r.dial(target, bearerHeader(short))
		defer c.expectClose(closePolicy, textExpired)
	}
	told := speaks(t, r, bearerHeader(short))
	renewed := speaks(t, r, bearerHeader(token(t, func(g *auth.Grant) { g.Expires = time.Now().Add(5 * time.Second) })))
	renewed.send(ws.OpText, `{"op":"auth","id":1,"token":"`+token(t, func(g *auth.Grant) { g.Expires = time.Now().Add(7 * time.Second) })+`"}`)
	renewed.expect(ws.OpText, `{"op":"ok","id":1}`)
	told.expect(ws.OpText, `{"op":"error","code":"expired","message":"the token has expired"}`)
	told.expectClose(closePolicy, textExpired)
	renewed.expect(ws.OpText, `{"op":"error","code":"expired","message":"the token has expired"}`)
	if n := r.metric(`wsd_reauthentications_total{result="accepted"}`); n != 1 {
		t.Errorf("%v renewals", n)
	}
}

func TestTokenBySubprotocol(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret)
	good := token(t, mayAll)
	for _, target := range []string{"/echo", "/topics/a"} {
		for _, tt := range []struct {
			offered, answer string
			status          int
		}{
			{"bearer." + good, "bearer." + good, 101},
			{"chat, bearer." + good, "chat", 101},
			{"bearer." + good + ", chat, other", "chat", 101},
			{"chat, other", "", 401},
			{"bearer.x.y.z", "", 401},
			{"bearer.", "", 401},
		} {
			answer := ""
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			conn, _, hs, err := ws.Dialer{Protocols: strings.Split(tt.offered, ", ")}.Dial(ctx, "ws://"+r.addr+target)
			cancel()
			if err == nil {
				conn.Close()
				answer = hs.Protocol
			}
			if status(err) != tt.status || answer != tt.answer {
				t.Errorf("%s, %.20s: %v, answered by %.20q", target, tt.offered, err, answer)
			}
		}
	}
}

// With --anonymous a token is not needed, but one that is brought must be good.
func TestTokenThatIsNotNeeded(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--anonymous")
	for given, want := range map[string]int{"": 101, token(t): 101, "x.y.z": 401} {
		var header http.Header
		if given != "" {
			header = bearerHeader(given)
		}
		c, err := dial("ws://"+r.addr+"/topics/a", header)
		if err == nil {
			c.conn.Close()
		}
		if status(err) != want {
			t.Errorf("%.10s: %v, want %d", given, err, want)
		}
	}
}

// A fresh token extends the time, and what it allows counts from then on.
func TestSIORenews(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--jwt-leeway", "0s", "--sio-allow-join", "free/*", "--sio-relay", "say=**")
	fresh := func(change ...func(*auth.Grant)) string { return `"auth",` + withToken(token(t, change...)) }
	c := r.connect("/", withToken(token(t, func(g *auth.Grant) {
		g.Expires = time.Now().Add(6 * time.Second)
		g.Rooms, g.Join = []string{"given", "kept"}, []string{"old/*", "both/*"}
	})))
	for _, room := range []string{"free/1", "old/1", "both/1"} {
		c.must("ok", `"join","`+room+`"`)
	}
	for args, want := range map[string]string{
		`"auth"`:               codeBadRequest,
		`"auth",7`:             codeBadRequest,
		`"auth",{}`:            codeBadRequest,
		`"auth",{"token":7}`:   codeBadRequest,
		`"auth",{"token":"x"}`: codeUnauthorized,
		fresh(user("bob")):     codeUnauthorized,
		fresh(func(g *auth.Grant) { g.Expires = time.Now().Add(-time.Minute) }): codeExpired,
	} {
		c.must(want, args)
	}
	c.must("ok", fresh(func(g *auth.Grant) {
		g.Rooms, g.Join = []string{"kept", "new"}, []string{"both/*", "next/*"}
	}))
	other := r.connect("/", withToken(token(t, user("bob"), func(g *auth.Grant) { g.Publish = []string{"**", "user:*"} })))
	for room, in := range map[string]bool{"given": false, "old/1": false, "kept": true, "new": true, "free/1": true, "both/1": true, "user:ann": true} {
		other.must("ok", `"say","`+room+`"`)
		if in {
			c.hears(`"say","` + room + `"`)
		} else {
			c.hearsNothing()
		}
	}
	c.must(codeForbidden, `"join","old/1"`)
	c.must("ok", `"join","next/1"`)
	if got := r.metric(`wsd_reauthentications_total{result="refused"}`); got != 7 {
		t.Errorf("%v were refused", got)
	}
	// The first token would have ended by now.
	c.must("ok", fresh(func(g *auth.Grant) { g.Expires = time.Now().Add(7 * time.Second) }))
	c.hears(`"expired"`)
	c.expectEnd()
	if got := r.metric(`wsd_tokens_expired_total`); got != 1 {
		t.Errorf("%v have expired", got)
	}
}

// Who is nobody can't become somebody, nor the other way round.
func TestRenewalKeepsTheUser(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--anonymous")
	c := r.connect("/", "")
	c.must(codeUnauthorized, `"auth",`+withToken(token(t)))
	serve(t).connect("/", "").must(codeBadRequest, `"auth",`+withToken(token(t)))
}

// A revocation ends the user's connections on every path and server, refuses tokens
// from before, and leaves others alone.
func TestRevocationOverRedis(t *testing.T) {
	redis := testkit.StartRedis(t)
	a := serve(t, "--jwt-secret", testSecret, "--adapter", "classic", "--redis-url", redis.URL(), "--server-id", "a")
	b := serve(t, "--jwt-secret", testSecret, "--adapter", "classic", "--redis-url", redis.URL(), "--server-id", "b")
	before := time.Now().Add(-time.Minute)
	old := token(t, mayAll, issued(before))
	bobs := token(t, mayAll, user("bob"), issued(before))

	type nodes struct {
		echo, topic, pubsub *client
		sio                 *sioClient
	}
	connect := func(r *running, token string) nodes {
		t.Helper()
		n := nodes{r.dial("/echo", bearerHeader(token)), r.dial("/topics/a", bearerHeader(token)), speaks(t, r, bearerHeader(token)), r.connect("/", withToken(token))}
		n.sio.must(codeForbidden, `"join","x"`) // its handlers have run
		return n
	}
	var anns []nodes
	for _, r := range []*running{a, b} {
		anns = append(anns, connect(r, old))
	}
	bob := connect(b, bobs)
	bobHere := a.dial("/echo", bearerHeader(bobs))

	closed, err := a.server.revoke(t.Context(), "ann", time.Now())
	late := token(t, mayAll, issued(time.Now().Add(2*time.Second))) // iat has whole seconds
	if closed != 4 || err != nil {
		t.Errorf("%d closed here, %v", closed, err)
	}
	for _, n := range anns {
		n.echo.expectClose(closePolicy, "token revoked")
		n.topic.expectClose(closePolicy, "token revoked")
		n.pubsub.expectClose(closePolicy, "token revoked")
		n.sio.expectEnd()
	}
	bob.echo.send(ws.OpText, "here")
	bob.echo.expect(ws.OpText, "here")
	bob.sio.must(codeForbidden, `"join","x"`)

	// A server that was started behind it knows as well.
	c := serve(t, "--jwt-secret", testSecret, "--adapter", "classic", "--redis-url", redis.URL(), "--server-id", "c")
	for _, r := range []*running{a, b, c} {
		if _, err := dial("ws://"+r.addr+"/echo", bearerHeader(old)); status(err) != http.StatusUnauthorized {
			t.Errorf("the token counts still: %v", err)
		}
		if _, answer := r.open(sioSocket, nil).enter("/", withToken(old)); !strings.Contains(answer, codeRevoked) {
			t.Errorf("the token counts still: %s", answer)
		}
		if _, err := dial("ws://"+r.addr+"/echo", bearerHeader(token(t, mayAll))); status(err) != http.StatusUnauthorized {
			t.Errorf("a token without iat counts: %v", err)
		}
		connect(r, late)
	}
	bob.sio.must(codeUnauthorized, `"auth",`+withToken(late))

	// Disconnecting is for once.
	if _, err := c.server.disconnectUser(t.Context(), "bob"); err != nil {
		t.Error(err)
	}
	bob.echo.expectClose(closePolicy, "disconnected")
	bob.topic.expectClose(closePolicy, "disconnected")
	bob.sio.expectEnd()
	bobHere.expectClose(closePolicy, "disconnected") // so this server has heard of it, too
	connect(a, bobs)
}

// Without Redis the server's own word counts, within its bounds.
func TestRevocationAlone(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret)
	old := token(t, mayAll, issued(time.Now().Add(-time.Minute)))
	c := r.dial("/echo", bearerHeader(old))
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	if n, err := r.server.revoke(t.Context(), "ann", time.Now()); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	c.expectClose(closePolicy, "token revoked")
	c.conn.Close()
	if _, err := dial("ws://"+r.addr+"/echo", bearerHeader(old)); status(err) != http.StatusUnauthorized {
		t.Errorf("the token counts still: %v", err)
	}
	testkit.Eventually(t, func() bool { return len(r.server.users.users()) == 0 }, patience)
	for _, bad := range []string{"", "connections", strings.Repeat("x", 300)} {
		if _, err := r.server.revoke(t.Context(), bad, time.Now()); err == nil {
			t.Errorf("%.20q can be revoked", bad)
		}
	}
}

// A node that could not hear asks when it can again, and while Redis is away what it
// knows counts.
func TestRevocationBehindAnOutage(t *testing.T) {
	redis := testkit.StartRedis(t)
	proxy := testkit.StartProxy(t, redis.Addr)
	a := serve(t, "--jwt-secret", testSecret, "--adapter", "classic", "--redis-url", redis.URL(), "--server-id", "a")
	b := serve(t, "--jwt-secret", testSecret, "--adapter", "classic", "--redis-url", "redis://"+proxy.Addr, "--server-id", "b", "--redis-command-timeout", "500ms")
	old := token(t, mayAll, issued(time.Now().Add(-time.Minute)))
	c := b.dial("/echo", bearerHeader(old))
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	proxy.Refuse(true)
	proxy.Cut()
	if _, err := a.server.revoke(t.Context(), "ann", time.Now()); err != nil {
		t.Error(err)
	}
	// Redis is away and this server has not heard: who has a good token gets in.
	bobs := b.dial("/echo", bearerHeader(token(t, mayAll, user("bob"))))
	bobs.send(ws.OpText, "x")
	bobs.expect(ws.OpText, "x")
	if b.metric("wsd_revocation_lookups_failed_total") == 0 {
		t.Error("no failed lookup is counted")
	}
	proxy.Refuse(false)
	c.expectClose(closePolicy, "token revoked")
}

func TestRevocationsAreBounded(t *testing.T) {
	r := newRevocations(new(userIndex), time.Hour, slog.New(slog.DiscardHandler))
	for i := range maxRevoked + 1000 {
		r.remember(fmt.Sprint("u", i), time.Now())
	}
	if n := len(r.known); n != maxRevoked {
		t.Errorf("%d are remembered", n)
	}
}

func TestUserIndex(t *testing.T) {
	var x userIndex
	var all []*member
	for i := range 10 {
		m := &member{user: fmt.Sprint(i % 2)}
		all = append(all, m)
		x.add(m)
	}
	x.remove(all[0])
	x.remove(all[0])
	x.remove(&member{user: "nobody"})
	if n := len(x.of("0")); n != 4 {
		t.Errorf("%d are left of 5", n)
	}
	for _, m := range all {
		x.remove(m)
	}
	if len(x.members) != 0 {
		t.Errorf("%v are left", x.members)
	}
}
