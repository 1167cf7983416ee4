package socketio_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// telling is a cluster whose nodes leave it to a test what becomes of an event.
type telling struct {
	broker.Cluster
	then func(done func(string, error)) error
}

type tellingNode struct {
	broker.ClusterNode
	with *telling
}

func (c *telling) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := c.Cluster.Join(namespace, r)
	return tellingNode{n, c}, err
}

func (n tellingNode) PublishThen(_ *cluster.Message, done func(string, error)) error {
	return n.with.then(done)
}

// EmitWait reaches all, and tells where in the log the event is.
func TestEmitWait(t *testing.T) {
	for _, tt := range []struct {
		name       string
		nodes      broker.Cluster
		recovery   *socketio.RecoveryOptions
		log, store bool // events have an offset at the cluster; for clients
	}{
		{"no log", broker.NewMemoryCluster(), nil, false, false},
		{"no log, recovery on each node", broker.NewMemoryCluster(), &socketio.RecoveryOptions{}, false, true},
		{"a log", memoryLog(), nil, true, false},
		{"a log, recovery", memoryLog(), &socketio.RecoveryOptions{}, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := socketio.Options{Cluster: tt.nodes, Recovery: tt.recovery}
			made := make(chan *socketio.Socket, 1)
			var clients []*client
			a, b := serve(t, opts, announce(made)), serve(t, opts, announce(made))
			for _, srv := range []*server{a, b} {
				clients = append(clients, srv.dial(t))
				clients[len(clients)-1].send("40")
				if got := clients[len(clients)-1].next(); !strings.HasPrefix(got, "40{") {
					t.Fatal(got)
				}
				wait(t, made).Join("r")
			}
			last := ""
			for _, emit := range []func() (string, error){
				func() (string, error) { return a.EmitWait(t.Context(), "e", 1) },
				func() (string, error) { return a.To("r").EmitWait(t.Context(), "e", 1) },
				func() (string, error) { return a.Volatile().EmitWait(t.Context(), "e", 1) },
			} {
				offset, err := emit()
				if err != nil || (offset != "") != tt.log || tt.log && offset == last {
					t.Errorf("offset %q after %q, %v", offset, last, err)
				}
				last = offset
				for _, c := range clients {
					if got := c.next(); !strings.HasPrefix(got, `42["e",1`) {
						t.Errorf("got %s", got)
					}
				}
			}
			offset, err := a.Local().EmitWait(t.Context(), "here")
			if offset != "" || err != nil {
				t.Errorf("a local event: %q, %v", offset, err)
			}
			if got := clients[0].next(); !strings.HasPrefix(got, `42["here"`) {
				t.Errorf("got %s", got)
			}
			if _, err := a.EmitWait(t.Context(), "connect"); !errors.Is(err, socketio.ErrReserved) {
				t.Errorf("a reserved name: %v", err)
			}
		})
	}
}

// The node's own clients have the event whatever becomes of it, and whoever waits
// hears what does, or has waited long enough.
func TestEmitWaitTellsOfFailures(t *testing.T) {
	refused := errors.New("no space")
	var kept func(string, error)
	for _, tt := range []struct {
		name  string
		then  func(done func(string, error)) error
		leave bool // the caller's time is over
		want  error
	}{
		{"not taken", func(func(string, error)) error { return broker.ErrUnavailable }, false, broker.ErrUnavailable},
		{"refused", func(done func(string, error)) error { go done("", refused); return nil }, false, refused},
		{"no answer", func(done func(string, error)) error { kept = done; return nil }, true, context.Canceled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			made := make(chan *socketio.Socket, 1)
			srv := serve(t, socketio.Options{Cluster: &telling{broker.NewMemoryCluster(), tt.then}}, announce(made))
			c := srv.connect(t)
			<-made
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			told := make(chan error, 1)
			go func() {
				_, err := srv.EmitWait(ctx, "e")
				told <- err
			}()
			c.expect(`42["e"]`)
			if tt.leave {
				cancel()
			}
			if err := wait(t, told); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	kept("", nil) // too late for anybody
}

func TestEmitWaitOnLoop(t *testing.T) {
	failed := make(chan error, 2)
	srv := serve(t, socketio.Options{Inline: true, Cluster: broker.NewMemoryCluster()}, func(io *socketio.Server) {
		io.OnConnection(func(s *socketio.Socket) {
			_, err := s.Broadcast().EmitWait(context.Background(), "e")
			failed <- err
			_, err = io.SendToUserWait(context.Background(), "u", "e")
			failed <- err
		})
	})
	srv.connect(t)
	for range 2 {
		if err := wait(t, failed); !errors.Is(err, socketio.ErrOnLoop) {
			t.Errorf("%v, want %v", err, socketio.ErrOnLoop)
		}
	}
}

func TestSendToUserWait(t *testing.T) {
	p, nodes := trio(t, socketio.Options{})
	send := func(event string) error {
		_, err := nodes[0].SendToUserWait(t.Context(), "u", event)
		return err
	}
	if err := send("x"); !errors.Is(err, socketio.ErrOffline) {
		t.Errorf("to nobody: %v", err)
	}
	var clients []*client
	for _, n := range nodes {
		c, _ := n.connectAs(t, "u")
		clients = append(clients, c)
	}
	if err := send("hi"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.to(), " "); got != "b c" {
		t.Errorf("told %q", got)
	}
	for _, c := range clients {
		c.expect(`42["hi"]`)
	}
	p.mu.Lock()
	p.refused = broker.ErrUnavailable
	p.mu.Unlock()
	if err := send("only here"); !errors.Is(err, broker.ErrUnavailable) || !strings.Contains(err.Error(), "server b") || !strings.Contains(err.Error(), "server c") {
		t.Errorf("%v, want both servers", err)
	}
	clients[0].expect(`42["only here"]`)
	p.mu.Lock()
	p.refused, p.full = nil, "b"
	p.mu.Unlock()
	err := send("not to b")
	var failed *socketio.ServerError
	if !errors.As(err, &failed) || failed.Server != "b" || !errors.Is(err, broker.ErrOverflow) || strings.Contains(err.Error(), "server c") {
		t.Errorf("%v, want server b alone", err)
	}
	clients[0].expect(`42["not to b"]`)
	clients[2].expect(`42["not to b"]`)
	p.set(nil, true) // somewhere that only a broadcast reaches
	if err := send("to all"); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.expect(`42["to all"]`)
	}
}
