package socketio_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// pair is two servers of a cluster with a client each.
func pair(t *testing.T, setup func(node string, io *socketio.Server)) (a, b *server, all *crowd) {
	t.Helper()
	nodes := broker.NewMemoryCluster()
	made := make(chan *socketio.Socket, 1)
	start := func(node string) *server {
		return serve(t, socketio.Options{Cluster: nodes}, func(io *socketio.Server) {
			announce(made)(io)
			if setup != nil {
				setup(node, io)
			}
		})
	}
	a, b = start("a"), start("b")
	all = &crowd{}
	for _, srv := range []*server{a, b} {
		w := gather(t, srv, made, 1)
		all.clients, all.sockets = append(all.clients, w.clients...), append(all.sockets, w.sockets...)
	}
	return a, b, all
}

func TestClusterBroadcast(t *testing.T) {
	a, b, w := pair(t, nil)
	w.sockets[1].Join("r")
	for i, emit := range []func() error{
		func() error { return a.Emit("to all", 1) },
		func() error { return b.Emit("to all", []byte("bin")) },
	} {
		if err := emit(); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.clients {
			if i == 0 {
				c.expect(`42["to all",1]`)
			} else {
				c.expect(`451-["to all",{"_placeholder":true,"num":0}]`, "bin")
			}
		}
	}
	_ = a.Local().Emit("local")
	_ = a.To("r").Emit("room")
	_ = w.sockets[0].Broadcast().Emit("others")
	_ = a.Emit("end")
	w.clients[0].expect(`42["local"]`, `42["end"]`)
	w.clients[1].expect(`42["room"]`, `42["others"]`, `42["end"]`)
}

func TestClusterAsks(t *testing.T) {
	a, b, w := pair(t, nil)
	answer := make(chan string, 1)
	go func() {
		values, err := a.EmitWithAck(t.Context(), "q")
		answer <- fmt.Sprint(len(values), err)
	}()
	for _, c := range w.clients {
		c.expect(`420["q"]`)
		c.send(`430["yes"]`)
	}
	if got := wait(t, answer); got != "2 <nil>" {
		t.Errorf("got %s", got)
	}

	w.sockets[1].SetData(map[string]int{"n": 1})
	found, err := a.FetchSockets(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v, %v", found, err)
	}
	i := slices.IndexFunc(found, func(x *socketio.RemoteSocket) bool { return x.ID == w.sockets[1].ID() })
	if i < 0 || fmt.Sprint(found[i].Data) != "map[n:1]" || found[i].Handshake.Address != "127.0.0.1" {
		t.Fatalf("found %+v", found)
	}
	far := found[i]
	if err := far.Join("moved"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return w.sockets[1].InRoom("moved") })
	if err := a.To("moved").DisconnectSockets(false); err != nil {
		t.Fatal(err)
	}
	w.clients[1].expect("41")
	eventually(t, func() bool { return b.Sockets() == 0 })
	w.clients[0].alive()
}

func TestServerSideEmit(t *testing.T) {
	heard := make(chan string, 4)
	a, _, _ := pair(t, func(node string, io *socketio.Server) {
		io.OnServerSide("tell", func(e *socketio.ServerSideEvent) { heard <- node + fmt.Sprint(e.Args()) })
		io.OnServerSide("ask", func(e *socketio.ServerSideEvent) { _ = e.Ack("from " + node) })
		io.OnServerSide("panic", func(*socketio.ServerSideEvent) { panic("as told") })
	})
	if err := a.ServerSideEmit("panic"); err != nil {
		t.Fatal(err)
	}
	if err := a.ServerSideEmit("tell", 1, "x"); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, heard); got != "b[1 x]" {
		t.Errorf("heard %s", got)
	}
	values, err := a.ServerSideEmitWithAck(t.Context(), "ask")
	if err != nil || len(values) != 1 || values[0].String() != "from b" {
		t.Errorf("got %v, %v", values, err)
	}
	if err := a.ServerSideEmit("connection"); err != socketio.ErrReserved {
		t.Errorf("a reserved name: %v", err)
	}
}

// A node that leaves is waited for no more.
func TestClusterNodeLeaves(t *testing.T) {
	a, b, w := pair(t, nil)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := a.FetchSockets(t.Context())
	if err != nil || len(found) != 1 || found[0].ID != w.sockets[0].ID() {
		t.Errorf("found %v, %v", found, err)
	}
}

// deaf is a cluster whose nodes can't be reached.
type deaf struct{ broker.Cluster }

type deafNode struct{ broker.ClusterNode }

func (d deaf) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := d.Cluster.Join(namespace, r)
	return deafNode{n}, err
}

func (deafNode) Publish(*cluster.Message) error { return broker.ErrUnavailable }

// Answers that lack because other nodes were not asked are no success.
func TestAckedBroadcastThatIsNotPublished(t *testing.T) {
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: deaf{broker.NewMemoryCluster()}}, announce(made))
	c := srv.connect(t)
	<-made
	go func() {
		c.expect(`420["q"]`)
		c.send(`430["a"]`)
	}()
	values, err := srv.EmitWithAck(t.Context(), "q")
	if !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	if len(values) != 1 || values[0].String() != "a" {
		t.Errorf("answers %v", values)
	}
}
