package socketio_test

import (
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

func TestFanOut(t *testing.T) {
	made := make(chan *socketio.Socket, 3)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 3)
	w.sockets[0].Join("a", "b")
	w.sockets[1].Join("a")
	w.sockets[2].Join("c")
	emit := func(room string) {
		t.Helper()
		if err := srv.To(room).Emit("x"); err != nil {
			t.Fatal(err)
		}
	}
	emit("a")
	emit("a")
	emit("b")
	emit(w.sockets[0].ID()) // no room that is listed
	if err := srv.Emit("end"); err != nil {
		t.Fatal(err)
	}
	w.heard(t)
	expect := func(limit int, want ...socketio.RoomFanOut) {
		t.Helper()
		if got, err := srv.Of("/").FanOut(t.Context(), limit); err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	expect(10, socketio.RoomFanOut{"a", 2, 4}, socketio.RoomFanOut{"b", 1, 1}, socketio.RoomFanOut{"c", 1, 0})
	expect(1, socketio.RoomFanOut{"a", 2, 0})
}
