package socketio_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// byAuth makes a socket the user's whose id is its auth.
func byAuth(io *socketio.Server) {
	io.Use(func(s *socketio.Socket) error { return setAuthUser(s) })
}

func setAuthUser(s *socketio.Socket) error {
	var auth struct{ User string }
	if err := s.Auth().Decode(&auth); err != nil || auth.User == "" {
		return err
	}
	return s.SetUser(auth.User)
}

// connectAs opens a session whose socket is a user's.
func (s *server) connectAs(t testing.TB, user string) (c *client, sid string) {
	t.Helper()
	c = s.dial(t)
	return c, c.join(`40{"user":"` + user + `"}`)
}

// spy is a presence that notes what was sent, and may be out of order.
type spy struct {
	broker.Presence

	mu      sync.Mutex
	sent    []string // servers
	broken  error    // of Lookup
	refused error    // what SendThen tells
	full    string   // the server for which SendThen has no room
	foreign bool
}

type spyNode struct {
	broker.PresenceNode
	spy *spy
}

func (p *spy) Join(server string, direct func(*cluster.Message)) (broker.PresenceNode, error) {
	n, err := p.Presence.Join(server, direct)
	return spyNode{n, p}, err
}

func (n spyNode) Send(server string, m *cluster.Message) error {
	n.spy.mu.Lock()
	n.spy.sent = append(n.spy.sent, server)
	n.spy.mu.Unlock()
	return n.PresenceNode.Send(server, m)
}

func (n spyNode) SendThen(server string, m *cluster.Message, done func(error)) error {
	n.spy.mu.Lock()
	n.spy.sent = append(n.spy.sent, server)
	refused, full := n.spy.refused, n.spy.full == server
	n.spy.mu.Unlock()
	if full {
		return broker.ErrOverflow
	}
	if refused == nil {
		return n.PresenceNode.SendThen(server, m, done)
	}
	done(refused)
	return nil
}

func (n spyNode) Lookup(ctx context.Context, user string) ([]broker.Connection, error) {
	all, err := n.PresenceNode.Lookup(ctx, user)
	n.spy.mu.Lock()
	defer n.spy.mu.Unlock()
	if n.spy.broken != nil {
		return nil, n.spy.broken
	}
	if n.spy.foreign {
		all = append(all, broker.Connection{ID: "x", Server: "node", Foreign: true})
	}
	return all, err
}

func (p *spy) set(broken error, foreign bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken, p.foreign = broken, foreign
}

// to are the servers that were sent to since the last call.
func (p *spy) to() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = nil
	slices.Sort(sent)
	return sent
}

// trio is three servers, named a, b and c, with one presence and one cluster.
func trio(t *testing.T, opts socketio.Options) (*spy, []*server) {
	t.Helper()
	p, nodes := &spy{Presence: broker.NewMemoryPresence()}, broker.NewMemoryCluster()
	var all []*server
	for _, name := range []string{"a", "b", "c"} {
		opts.Presence, opts.Cluster, opts.ServerID = p, nodes, name
		all = append(all, serve(t, opts, byAuth))
	}
	return p, all
}

func TestSendToUser(t *testing.T) {
	p, nodes := trio(t, socketio.Options{})
	ctx := t.Context()
	if err := nodes[0].SendToUser(ctx, "u", "x"); !errors.Is(err, socketio.ErrOffline) {
		t.Errorf("to nobody: %v", err)
	}
	one, first := nodes[0].connectAs(t, "u")
	two, second := nodes[1].connectAs(t, "u")
	tab, third := nodes[1].connectAs(t, "u")
	other, _ := nodes[2].connectAs(t, "v")
	for i, node := range nodes {
		all, err := node.UserConnections(ctx, "u")
		var ids []string
		for _, c := range all {
			ids = append(ids, c.ID+" "+c.Server)
		}
		slices.Sort(ids)
		want := []string{first + " a", second + " b", third + " b"}
		slices.Sort(want)
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("node %d finds %q, %v, want %q", i, ids, err, want)
		}
	}
	for i, want := range []string{"b", "a", "a b"} {
		if err := nodes[i].SendToUser(ctx, "u", "hi", i, []byte("bin")); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.to(), " "); got != want {
			t.Errorf("node %d told %q, want %q", i, got, want)
		}
		for _, c := range []*client{one, two, tab} {
			c.expect(`451-["hi",`+string(rune('0'+i))+`,{"_placeholder":true,"num":0}]`, "bin")
		}
	}
	if err := nodes[0].Emit("end"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{one, two, tab, other} {
		c.expect(`42["end"]`)
	}

	two.send("41")
	tab.conn.Close()
	eventually(t, func() bool {
		all, err := nodes[2].UserConnections(ctx, "u")
		return err == nil && len(all) == 1 && all[0].ID == first
	})
	if err := nodes[2].SendToUser(ctx, "u", "one"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.to(), " "); got != "a" {
		t.Errorf("%q was told, want a", got)
	}
	one.expect(`42["one"]`)
	one.conn.Close()
	eventually(t, func() bool {
		online, err := nodes[2].UserOnline(ctx, "u")
		return err == nil && !online
	})
	if err := nodes[2].SendToUser(ctx, "u", "late"); !errors.Is(err, socketio.ErrOffline) {
		t.Errorf("to a user who has gone: %v", err)
	}
}

// Where a broadcast is needed, it is one, and nothing else.
func TestSendToUserByBroadcast(t *testing.T) {
	p, nodes := trio(t, socketio.Options{})
	one, _ := nodes[0].connectAs(t, "u")
	two, _ := nodes[1].connectAs(t, "u")
	for _, tt := range []struct {
		name    string
		broken  error
		foreign bool
	}{{"foreign", nil, true}, {"unavailable", broker.ErrUnavailable, false}} {
		p.set(tt.broken, tt.foreign)
		if err := nodes[0].SendToUser(t.Context(), "u", tt.name); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if got := p.to(); len(got) > 0 {
		t.Errorf("%q were told by themselves", got)
	}
	_ = nodes[0].Emit("end")
	for _, c := range []*client{one, two} {
		c.expect(`42["foreign"]`, `42["unavailable"]`, `42["end"]`)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.set(ctx.Err(), false)
	if err := nodes[0].SendToUser(ctx, "u", "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	for user, want := range map[string]error{"": broker.ErrUser, "connections": broker.ErrUser, strings.Repeat("x", 257): broker.ErrUser} {
		if err := nodes[0].SendToUser(t.Context(), user, "x"); !errors.Is(err, want) {
			t.Errorf("to %.20q: %v", user, err)
		}
	}
	if err := nodes[0].SendToUser(t.Context(), "u", "disconnect"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("a reserved event: %v", err)
	}
}

// A user who is away for a moment still gets what was sent, with its offset.
func TestSendToUserUnderRecovery(t *testing.T) {
	p, nodes := trio(t, socketio.Options{Recovery: &socketio.RecoveryOptions{RunMiddlewares: true}})
	c := nodes[0].dial(t)
	c.send(`40{"user":"u"}`)
	k := came(t, c)
	if err := nodes[1].SendToUser(t.Context(), "u", "first"); err != nil {
		t.Fatal(err)
	}
	k.stored(t, c, `"first"`)
	c.conn.Close()
	eventually(t, func() bool {
		online, err := nodes[1].UserOnline(t.Context(), "u")
		return err == nil && !online
	})
	if err := nodes[0].SendToUser(t.Context(), "u", "missed"); err != nil {
		t.Fatal(err)
	}
	if got := p.to(); len(got) > 0 {
		t.Errorf("%q were told by themselves", got)
	}
	back := nodes[0].dial(t)
	back.send(strings.TrimSuffix(k.again(), "}") + `,"user":"u"}`)
	k.stored(t, back, `"missed"`)
	back.expect(k.welcome())
	eventually(t, func() bool {
		all, err := nodes[1].UserConnections(t.Context(), "u")
		return err == nil && len(all) == 1
	})
}

func TestSetUser(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		made := make(chan *socketio.Socket, 1)
		srv := serve(t, opts, func(io *socketio.Server) {
			announce(made)(io)
			io.OnConnection(func(s *socketio.Socket) { _ = setAuthUser(s) })
		})
		online := func(user string) bool {
			is, err := srv.UserOnline(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			return is
		}
		c, _ := srv.connectAs(t, "u")
		s := wait(t, made)
		eventually(t, func() bool { return online("u") })
		if err := s.SetUser(""); !errors.Is(err, broker.ErrUser) {
			t.Errorf("no id: %v", err)
		}
		if err := errors.Join(s.SetUser("u"), s.SetUser("v"), s.SetUser("v")); err != nil {
			t.Fatal(err)
		}
		if online("u") || !online("v") || s.User() != "v" || !s.InRoom("user:v") || s.InRoom("user:u") {
			t.Errorf("u is online: %v, v is: %v, the socket is %q's, in %q", online("u"), online("v"), s.User(), s.Rooms())
		}
		if err := srv.SendToUser(t.Context(), "u", "x"); !errors.Is(err, socketio.ErrOffline) {
			t.Errorf("to the user before: %v", err)
		}
		if err := srv.SendToUser(t.Context(), "v", "x"); err != nil {
			t.Error(err)
		}
		c.expect(`42["x"]`)
		c.send("41")
		eventually(t, func() bool { return !online("v") })
		if err := s.SetUser("w"); !errors.Is(err, socketio.ErrDisconnected) || online("w") {
			t.Errorf("after the end: %v, online %v", err, online("w"))
		}
	})
}

// A socket that a middleware refuses was never online.
func TestSetUserRefused(t *testing.T) {
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) {
		byAuth(io)
		io.Use(func(*socketio.Socket) error { return errors.New("no") })
	})
	c := srv.dial(t)
	c.send(`40{"user":"u"}`)
	c.expect(`44{"message":"no"}`)
	if online, err := srv.UserOnline(t.Context(), "u"); online || err != nil {
		t.Errorf("online: %v, %v", online, err)
	}
}

// Sockets and SetUser race with ends; nobody stays online.
func TestSetUserAtOnce(t *testing.T) {
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, announce(made))
	for range 20 {
		c := srv.connect(t)
		s := wait(t, made)
		var wg sync.WaitGroup
		wg.Go(func() {
			for _, user := range []string{"u", "v", "u", "w"} {
				_ = s.SetUser(user)
			}
		})
		c.conn.Close()
		wg.Wait()
	}
	for _, user := range []string{"u", "v", "w"} {
		eventually(t, func() bool {
			online, err := srv.UserOnline(t.Context(), user)
			return err == nil && !online
		})
	}
}

func TestPresenceNeedsAName(t *testing.T) {
	p := broker.NewMemoryPresence()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, tt := range map[string]struct {
		opts socketio.Options
		want error
	}{
		"none":       {socketio.Options{Presence: p}, socketio.ErrOptions},
		"own":        {socketio.Options{Presence: p, ServerID: "s"}, nil},
		"the engine": {socketio.Options{Presence: p, Engine: engineio.Options{ServerID: "s"}}, nil},
		"too long":   {socketio.Options{Presence: p, ServerID: strings.Repeat("x", 257)}, broker.ErrServer},
	} {
		srv := socketio.New(tt.opts)
		if err := srv.Mount(engine.New(engine.Options{Logger: quiet()}), "/socket.io/"); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if err := srv.Close(ctx); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
	}
}
