package socketio_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine/socketio"
)

// crowd is some sockets and their clients.
type crowd struct {
	clients []*client
	sockets []*socketio.Socket
}

// gather connects n clients to srv, whose sockets come from made.
func gather(t testing.TB, srv *server, made <-chan *socketio.Socket, n int) *crowd {
	t.Helper()
	w := &crowd{}
	for range n {
		w.clients = append(w.clients, srv.connect(t))
		w.sockets = append(w.sockets, wait(t, made))
	}
	return w
}

// heard reads up to an event "end" of every client, and returns who got what
// came before, in order.
func (w *crowd) heard(t testing.TB) []string {
	t.Helper()
	all := make([]string, len(w.clients))
	for i, c := range w.clients {
		for {
			got := c.next()
			if strings.HasPrefix(got, `42["end"`) {
				break
			}
			all[i] += strings.TrimSuffix(strings.TrimPrefix(got, `42["`), `"]`)
		}
	}
	return all
}

// announce makes a server's sockets known.
func announce(made chan<- *socketio.Socket) func(io *socketio.Server) {
	return func(io *socketio.Server) {
		pong(io)
		io.OnConnection(func(s *socketio.Socket) { made <- s })
	}
}

func TestBroadcast(t *testing.T) {
	made := make(chan *socketio.Socket, 4)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 4)
	s := w.sockets
	s[0].Join("a", "ab", "a")
	s[1].Join("b", "ab")
	s[2].Join("c")
	for _, x := range []struct {
		name string
		b    *socketio.Broadcast
		want string // the numbers of those who get it
	}{
		{"all", srv.Local(), "0123"},
		{"a room", srv.To("a"), "0"},
		{"a union, each once", srv.To("a", "ab").To("b"), "01"},
		{"in", srv.In("c"), "2"},
		{"no such room", srv.To("none"), ""},
		{"all but a room", srv.Except("ab"), "23"},
		{"a union but a room", srv.To("ab", "c").Except("b"), "02"},
		{"a socket's own room", srv.To(s[3].ID()), "3"},
		{"all but a socket", srv.Except(s[3].ID()), "012"},
		{"the others", s[0].Broadcast(), "123"},
		{"the others of a room", s[0].To("ab"), "1"},
		{"the others but a room", s[0].Except("c"), "13"},
		{"itself by name", s[0].To(s[0].ID()), ""},
		{"volatile and uncompressed", s[1].Volatile().Compress(false).To("a", "c"), "02"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if err := x.b.Emit("x"); err != nil {
				t.Fatal(err)
			}
			if err := srv.Emit("end"); err != nil {
				t.Fatal(err)
			}
			got := ""
			for i, heard := range w.heard(t) {
				if heard != "" {
					got += fmt.Sprint(i)
				}
			}
			if got != x.want {
				t.Errorf("heard by %q, want %q", got, x.want)
			}
		})
	}
}

func TestBinaryBroadcast(t *testing.T) {
	made := make(chan *socketio.Socket, 2)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 2)
	if err := srv.Emit("b", []byte("one"), []byte("two")); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.clients {
		c.expect(`452-["b",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, "one", "two")
	}
}

// Rooms, joined and left at random from any goroutine, hold who they should.
func TestRoomsModel(t *testing.T) {
	const sockets, rounds = 6, 60
	names := []string{"a", "b", "c", "d"}
	made := make(chan *socketio.Socket, sockets)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, sockets)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	model := make([]map[string]bool, sockets)
	for i := range model {
		model[i] = map[string]bool{w.sockets[i].ID(): true}
	}
	pick := func() (some []string) {
		for _, n := range names {
			if r.IntN(2) == 0 {
				some = append(some, n)
			}
		}
		return some
	}
	for range rounds {
		var want [sockets]string
		for step := range 1 + r.IntN(8) {
			i := r.IntN(sockets)
			s, m := w.sockets[i], model[i]
			rooms := pick()
			switch r.IntN(6) {
			case 0, 1:
				s.Join(rooms...)
				for _, n := range rooms {
					m[n] = true
				}
			case 2:
				s.Leave(rooms...)
				for _, n := range rooms {
					delete(m, n)
				}
			case 3:
				if err := srv.To(names[0]).SocketsJoin(rooms...); err != nil {
					t.Fatal(err)
				}
				// It takes place on the loops: wait for it.
				if _, err := srv.Local().FetchSockets(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, m := range model {
					if m[names[0]] {
						for _, n := range rooms {
							m[n] = true
						}
					}
				}
			default:
				except := pick()
				b := srv.To(rooms...).Except(except...)
				if err := b.Emit(string(rune('A' + step))); err != nil {
					t.Fatal(err)
				}
				for i, m := range model {
					in := func(n string) bool { return m[n] }
					if (len(rooms) == 0 || slices.ContainsFunc(rooms, in)) && !slices.ContainsFunc(except, in) {
						want[i] += string(rune('A' + step))
					}
				}
			}
			if got := len(s.Rooms()); got != len(m) {
				t.Fatalf("socket %d is in %v, want %v", i, s.Rooms(), m)
			}
		}
		if err := srv.Emit("end"); err != nil {
			t.Fatal(err)
		}
		for i, got := range w.heard(t) {
			if got != want[i] {
				t.Fatalf("socket %d heard %q, want %q", i, got, want[i])
			}
		}
	}
}

// A broadcast reaches who is in the room when it is made, whatever comes behind.
func TestJoinEmitLeave(t *testing.T) {
	const n = 500
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 1)
	s := w.sockets[0]
	for i := range n {
		s.Join("r")
		_ = srv.To("r").Emit("in", i)
		s.Leave("r")
		_ = srv.To("r").Emit("out", i)
	}
	_ = srv.Emit("end")
	for i := range n {
		w.clients[0].expect(fmt.Sprintf(`42["in",%d]`, i))
	}
	w.clients[0].expect(`42["end"]`)
}

// However goroutines join and leave at the same time, in the end the socket hears
// what Rooms says.
func TestRoomsOfManyGoroutines(t *testing.T) {
	const rounds = 50
	names := []string{"A", "B", "C"}
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 1)
	s := w.sockets[0]
	for range rounds {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 20 {
					name := names[(g+i)%len(names)]
					switch rand.IntN(4) {
					case 0:
						_ = srv.In(s.ID()).SocketsJoin(name)
					case 1:
						s.LeaveAll()
					case 2:
						s.Leave(name)
					default:
						s.Join(name)
					}
				}
			})
		}
		wg.Wait()
		// What SocketsJoin does takes place on the loops: wait for it.
		if _, err := srv.Local().FetchSockets(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := ""
		for _, name := range names {
			if s.InRoom(name) {
				want += name
			}
			_ = srv.To(name).Emit(name)
		}
		_ = srv.Emit("end")
		if got := w.heard(t)[0]; got != want {
			t.Fatalf("heard %q, is in %q", got, want)
		}
	}
}

func TestLeaveOwnRoom(t *testing.T) {
	made := make(chan *socketio.Socket, 1)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 1)
	s := w.sockets[0]
	s.Leave(s.ID())
	_ = srv.To(s.ID()).Emit("not for it")
	_ = s.Emit("still")
	w.clients[0].expect(`42["still"]`)
	s.Join(s.ID(), "x")
	if !s.InRoom("x") || !s.InRoom(s.ID()) || s.InRoom("y") {
		t.Errorf("Rooms = %v", s.Rooms())
	}
	s.LeaveAll()
	_ = srv.To("x").Emit("not for it")
	_ = srv.To(s.ID()).Emit("again")
	w.clients[0].expect(`42["again"]`)
}

func TestBroadcastAck(t *testing.T) {
	made := make(chan *socketio.Socket, 3)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 3)
	type outcome struct {
		values int
		err    error
	}
	ask := func(b *socketio.Broadcast) <-chan outcome {
		got := make(chan outcome, 1)
		go func() {
			values, err := b.EmitWithAck(t.Context(), "q")
			got <- outcome{len(values), err}
		}()
		return got
	}
	// All answer.
	got := ask(srv.Local())
	for i, c := range w.clients {
		c.expect(`420["q"]`)
		c.send(fmt.Sprintf(`430[%d,"more"]`, i))
	}
	if x := wait(t, got); x != (outcome{3, nil}) {
		t.Errorf("got %+v", x)
	}
	// Nobody is asked.
	if x := wait(t, ask(srv.To("none"))); x != (outcome{0, nil}) {
		t.Errorf("got %+v", x)
	}
	// One does not answer.
	got = ask(srv.Timeout(2 * time.Second))
	for i, c := range w.clients {
		c.expect(`422["q"]`)
		if i > 0 {
			c.send(`432[]`)
			c.alive() // it has been taken
		}
	}
	if x := wait(t, got); x != (outcome{2, socketio.ErrTimeout}) {
		t.Errorf("got %+v", x)
	}
	w.clients[0].send(`432["late"]`)
	w.clients[0].alive()
}

func TestFetchAndMoveSockets(t *testing.T) {
	made := make(chan *socketio.Socket, 3)
	srv := serve(t, socketio.Options{}, announce(made))
	w := gather(t, srv, made, 3)
	w.sockets[1].SetData("one")
	if err := srv.In(w.sockets[1].ID()).SocketsJoin("r"); err != nil {
		t.Fatal(err)
	}
	found, err := srv.In("r").FetchSockets(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	x := found[0]
	if x.ID != w.sockets[1].ID() || x.Data != "one" || !slices.Equal(x.Rooms, []string{x.ID, "r"}) || x.Handshake.Address != "127.0.0.1" {
		t.Errorf("found %+v", x)
	}
	if err := x.Emit("hello"); err != nil {
		t.Fatal(err)
	}
	w.clients[1].expect(`42["hello"]`)
	if err := x.Leave("r"); err != nil {
		t.Fatal(err)
	}
	if found, err := srv.In("r").FetchSockets(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
	if err := srv.Except(w.sockets[0].ID()).DisconnectSockets(true); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.clients[1:] {
		c.expect("41")
		c.expectClose()
	}
	w.clients[0].alive()
	eventually(t, func() bool { return srv.Sockets() == 1 })
}
