package socketio_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

func TestClients(t *testing.T) {
	made := make(chan *socketio.Socket, 4)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 4)
	idle := srv.dial(t) // in no namespace yet
	w.clients[0].send("40/nowhere,")
	ctx := context.Background()
	got := map[string]string{} // session by socket
	bare := 0
	if err := srv.Clients(ctx, func(s *engineio.Session, sockets []*socketio.Socket) bool {
		if len(sockets) == 0 {
			bare++
		}
		for _, x := range sockets {
			got[x.ID()] = s.ID()
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || bare != 1 {
		t.Errorf("%d sockets and %d clients without, want 4 and 1", len(got), bare)
	}
	for _, s := range w.sockets {
		if got[s.ID()] != s.Session().ID() {
			t.Errorf("socket %s: session %q", s.ID(), got[s.ID()])
		}
	}
	calls := 0
	if err := srv.Clients(ctx, func(*engineio.Session, []*socketio.Socket) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("%d calls after false: %v", calls, err)
	}
	idle.conn.Close()
}

func TestTopRooms(t *testing.T) {
	made := make(chan *socketio.Socket, 6)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 6)
	for i, s := range w.sockets {
		for j := range i + 1 {
			s.Join(fmt.Sprintf("room-%d", j))
		}
	}
	top, err := srv.TopRooms(context.Background(), 2)
	if want := []socketio.RoomCount{{Name: "room-0", Count: 6}, {Name: "room-1", Count: 5}}; err != nil || !slices.Equal(top, want) {
		t.Errorf("%v, %v, want %v", top, err, want)
	}
	all, err := srv.TopRooms(context.Background(), 100)
	if err != nil || len(all) != 6 {
		t.Errorf("%v, %v, want 6 rooms", all, err)
	}
}

func TestFindMakesNoNamespace(t *testing.T) {
	srv := serve(t, socketio.Options{}, func(io *socketio.Server) { io.Of("/chat") })
	if srv.Find("/chat") != srv.Of("/chat") || srv.Find("/none") != nil {
		t.Error("Find and Of differ, or Find made a namespace")
	}
	var names []string
	for _, n := range srv.Namespaces() {
		names = append(names, n.Name())
	}
	if want := []string{"/", "/chat"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
