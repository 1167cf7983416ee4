package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
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

// mute is a cluster with nodes that don't answer.
type mute struct {
	broker.Cluster
	members broker.Members
	err     error
	answers func(n *muteNode, m *cluster.Message) // nil: none
}

type muteNode struct {
	broker.ClusterNode
	mute     *mute
	receiver broker.ClusterReceiver
}

func (c *mute) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := c.Cluster.Join(namespace, r)
	return &muteNode{n, c, r}, err
}

func (n *muteNode) Members(context.Context) (broker.Members, error) {
	return n.mute.members, n.mute.err
}

func (n *muteNode) Publish(m *cluster.Message) error {
	if n.mute.answers != nil {
		n.mute.answers(n, m)
	}
	return nil
}

// What others told is returned with the names of those who told nothing.
func TestPartialAnswers(t *testing.T) {
	about := func(m *cluster.Message, uid string) *cluster.Message {
		x := &cluster.Message{UID: uid, Namespace: m.Namespace, RequestID: m.RequestID}
		switch m.Kind {
		case cluster.FetchSockets:
			x.Kind = cluster.FetchSocketsResponse
			x.Sockets = []cluster.Socket{{ID: "of " + uid, Rooms: []string{"room of " + uid}}}
		case cluster.ServerSideEmit:
			x.Kind, x.Args = cluster.ServerSideEmitResponse, sio.Payload{JSON: []byte(`["` + uid + `"]`)}
		case cluster.Broadcast:
			x.Kind = cluster.BroadcastClientCount
		}
		return x
	}
	three := broker.Members{Others: 3, UIDs: []string{"x", "y", "z"}}
	for name, x := range map[string]struct {
		members broker.Members
		uids    []string
		want    *socketio.PartialError // nil: all have answered
		answers int
	}{
		"none":                     {three, nil, &socketio.PartialError{Expected: 3, Silent: []string{"x", "y", "z"}}, 0},
		"some":                     {three, []string{"y"}, &socketio.PartialError{Expected: 3, Answered: 1, Silent: []string{"x", "z"}}, 1},
		"all":                      {three, []string{"z", "y", "x"}, nil, 3},
		"one of them twice":        {three, []string{"x", "x", "y"}, &socketio.PartialError{Expected: 3, Answered: 2, Silent: []string{"z"}}, 2},
		"one that has come since":  {three, []string{"x", "y", "new"}, &socketio.PartialError{Expected: 3, Answered: 2, Silent: []string{"z"}}, 2},
		"one too many":             {broker.Members{Others: 2}, []string{"x", "y", "z"}, nil, 2},
		"answers without a name":   {three, []string{"", ""}, &socketio.PartialError{Expected: 3, Answered: 2}, 2},
		"not all are known":        {broker.Members{Others: 3, UIDs: []string{"x"}}, []string{"y", "z"}, &socketio.PartialError{Expected: 3, Answered: 2, Silent: []string{"x"}}, 2},
		"all of which some unsaid": {broker.Members{Others: 2, UIDs: []string{"x"}}, []string{"", "x"}, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := &mute{Cluster: broker.NewMemoryCluster(), members: x.members}
			nodes.answers = func(n *muteNode, m *cluster.Message) {
				for _, uid := range x.uids {
					n.receiver.Deliver(about(m, uid))
				}
			}
			timeout := patience // all answer
			if x.want != nil {
				timeout = time.Second // so the answers are there before it is over
			}
			srv := serve(t, socketio.Options{Cluster: nodes, RequestTimeout: timeout}, nil)
			check := func(what string, answers int, err error) {
				t.Helper()
				if answers != x.answers {
					t.Errorf("%s: %d answers, want %d", what, answers, x.answers)
				}
				if x.want == nil {
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
					return
				}
				var got *socketio.PartialError
				if !errors.Is(err, socketio.ErrTimeout) || !errors.As(err, &got) || !reflect.DeepEqual(got, x.want) {
					t.Errorf("%s: %v, want %v", what, err, x.want)
				}
			}
			var all sync.WaitGroup
			all.Go(func() {
				sockets, err := srv.FetchSockets(t.Context())
				check("FetchSockets", len(sockets), err)
			})
			all.Go(func() {
				rooms, err := srv.AllRooms(t.Context())
				check("AllRooms", max(len(rooms), x.answers*min(len(rooms), 1)), err) // those without a name share one
			})
			all.Go(func() {
				values, err := srv.ServerSideEmitWithAck(t.Context(), "e")
				check("ServerSideEmitWithAck", len(values), err)
			})
			all.Go(func() {
				_, err := srv.EmitWithAck(t.Context(), "e")
				check("EmitWithAck", x.answers, err)
			})
			all.Wait()
			result := socketio.RequestOK
			if x.want != nil {
				result = socketio.RequestPartial
				if x.answers == 0 {
					result = socketio.RequestTimeout
				}
			}
			var counted requests
			for _, of := range []socketio.RequestType{socketio.RequestFetchSockets, socketio.RequestAllRooms, socketio.RequestServerSideEmit, socketio.RequestAcks} {
				counted[of][result] = 1
			}
			wantRequests(t, srv, counted)
		})
	}
}

// When it is not known who would answer, this node's answer comes at once.
func TestUnknownMembers(t *testing.T) {
	nodes := &mute{Cluster: broker.NewMemoryCluster(), err: broker.ErrUnavailable}
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{Cluster: nodes, RequestTimeout: time.Hour}, announce(made))
	c := srv.connect(t)
	wait(t, made)
	if sockets, err := srv.FetchSockets(t.Context()); len(sockets) != 1 || !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("FetchSockets: %v, %v", sockets, err)
	}
	if _, err := srv.ServerSideEmitWithAck(t.Context(), "e"); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("ServerSideEmitWithAck: %v", err)
	}
	go func() {
		c.expect(`420["q"]`)
		c.send(`430["a"]`)
	}()
	if values, err := srv.EmitWithAck(t.Context(), "q"); len(values) != 1 || !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("EmitWithAck: %v, %v", values, err)
	}
}

func TestAllRooms(t *testing.T) {
	a, b, w := pair(t, nil)
	w.sockets[0].Join("both", "of a")
	w.sockets[1].Join("both", "of b")
	own := []string{w.sockets[0].ID(), w.sockets[1].ID()}
	want := append([]string{"both", "of a", "of b"}, own...)
	slices.Sort(want)
	if rooms, err := a.AllRooms(t.Context()); err != nil || !slices.Equal(rooms, want) {
		t.Errorf("%v, %v, want %v", rooms, err, want)
	}
	want = []string{"both", "of b", own[1]}
	slices.Sort(want)
	if rooms, err := b.LocalRooms(t.Context()); err != nil || !slices.Equal(rooms, want) {
		t.Errorf("%v, %v, want %v", rooms, err, want)
	}
}

// A Node server's description of a socket, with parameters that came twice.
func TestHandshakeOfNode(t *testing.T) {
	nodes := &mute{Cluster: broker.NewMemoryCluster(), members: broker.Members{Others: 1}}
	nodes.answers = func(n *muteNode, m *cluster.Message) {
		n.receiver.Deliver(&cluster.Message{Kind: cluster.FetchSocketsResponse, Namespace: "/", RequestID: m.RequestID, Sockets: []cluster.Socket{{
			ID:    "s",
			Rooms: []string{"s", "r"},
			Handshake: []byte(`{"headers":{"host":"x:1","user-agent":"node"},"time":"Sat Nov 28 2026 10:00:00 GMT+0000 (Coordinated Universal Time)",` +
				`"address":"::ffff:127.0.0.1","xdomain":false,"secure":false,"issued":1795860000000,"url":"/socket.io/?EIO=4",` +
				`"query":{"EIO":"4","twice":["1","2"],"transport":"websocket"},"auth":{"token":"t"}}`),
			Data: []byte(`{"name":"n"}`),
		}}})
	}
	srv := serve(t, socketio.Options{Cluster: nodes}, nil)
	found, err := srv.FetchSockets(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	h := found[0].Handshake
	if h.Headers["host"] != "x:1" || h.Address != "::ffff:127.0.0.1" || h.Issued != 1795860000000 ||
		h.Query["EIO"] != "4" || h.Query["transport"] != "websocket" || h.Query["twice"] != "2" || string(h.Auth) != `{"token":"t"}` {
		t.Errorf("%+v", h)
	}
}

// A namespace that is cleaned up is no node any more, and one that is made behind
// Close never is.
func TestNamespacesLeaveTheCluster(t *testing.T) {
	nodes := broker.NewMemoryCluster()
	observer, err := nodes.Join("/room-1", broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer observer.Leave()
	others := func() int {
		m, err := observer.Members(t.Context())
		if err != nil {
			t.Error(err)
		}
		return m.Others
	}
	srv := serve(t, socketio.Options{Cluster: nodes, CleanupEmptyNamespaces: true}, func(io *socketio.Server) {
		io.OfPattern(regexp.MustCompile(`^/room-\d+$`))
	})
	c := srv.dial(t)
	c.join("40/room-1,")
	if n := others(); n != 1 {
		t.Errorf("%d nodes", n)
	}
	c.send("41/room-1,")
	eventually(t, func() bool { return others() == 0 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := srv.Close(ctx); err != nil {
		t.Fatal(err)
	}
	srv.Of("/room-1")
	if n := others(); n != 0 {
		t.Errorf("%d nodes behind Close", n)
	}
}
