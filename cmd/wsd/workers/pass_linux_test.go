package workers

import (
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// arrival is a connection that was taken.
type arrival struct {
	nc   net.Conn
	data string
}

// station is a taker with a passer to it.
type station struct {
	*passer
	arrived chan arrival
	back    chan arrival
	count   [numResults]atomic.Uint64
	taker   *taker
}

func newStation(t *testing.T) *station {
	t.Helper()
	x := &station{arrived: make(chan arrival, 1), back: make(chan arrival, 1)}
	path := filepath.Join(t.TempDir(), "pass")
	var err error
	if x.taker, err = newTaker(path, func(nc net.Conn, data []byte) bool {
		x.arrived <- arrival{nc, string(data)}
		return true
	}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	x.passer = newPasser(path, &x.count)
	t.Cleanup(func() {
		x.passer.close()
		x.taker.close()
	})
	return x
}

func (x *station) give(nc net.Conn, data string) {
	x.pass(passed{nc, []byte(data), func(nc net.Conn, data []byte) { x.back <- arrival{nc, string(data)} }})
}

// connection is a TCP connection: the client's end, and the server's.
func connection(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, server
}

// talk has both ends say something, and the client hear the end.
func talk(t *testing.T, client, server net.Conn) {
	t.Helper()
	go io.WriteString(client, "question")
	b := make([]byte, 8)
	if _, err := io.ReadFull(server, b); err != nil || string(b) != "question" {
		t.Fatalf("%q %v", b, err)
	}
	go func() {
		io.WriteString(server, "answer")
		server.Close()
	}()
	if all, err := io.ReadAll(client); err != nil || string(all) != "answer" {
		t.Fatalf("%q %v", all, err)
	}
}

func TestPass(t *testing.T) {
	x := newStation(t)
	for _, size := range []int{0, 1, 90 << 10, maxLetter - 1} {
		client, server := connection(t)
		data := strings.Repeat("d", size)
		x.give(server, data)
		a := <-x.arrived
		if a.nc.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("%d bytes: from %v, want %v", size, a.nc.RemoteAddr(), client.LocalAddr())
		}
		if a.data != data {
			t.Errorf("%d bytes became %d", size, len(a.data))
		}
		talk(t, client, a.nc)
	}
	// The other worker has it before this one knows.
	testkit.Eventually(t, func() bool { return x.count[Passed].Load() == 4 }, patience)
}

// What can't be passed is turned away, and costs nobody else the way there.
func TestPassWhatCanNot(t *testing.T) {
	x := newStation(t)
	for _, give := range []func(net.Conn){
		func(nc net.Conn) { x.give(nc, strings.Repeat("d", maxLetter)) },
		func(nc net.Conn) { x.give(struct{ net.Conn }{nc}, "encrypted, say") },
	} {
		client, server := connection(t)
		give(server)
		if b, err := io.ReadAll(client); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 503 ") {
			t.Errorf("%q %v", b, err)
		}
	}
	if n := x.count[Refused].Load(); n != 2 || !x.usable() {
		t.Errorf("%d were refused; asked again: %v", n, x.usable())
	}
}

// A worker that has died, or another one in its place, or none.
func TestPassToTheDead(t *testing.T) {
	x := newStation(t)
	_, server := connection(t)
	x.give(server, "")
	(<-x.arrived).nc.Close()

	x.taker.close()
	client, server := connection(t)
	x.give(server, "data")
	a := <-x.back
	if a.data != "data" || x.count[Lost].Load() != 1 {
		t.Errorf("%q came back, %d are lost", a.data, x.count[Lost].Load())
	}
	if x.down.Load() == 0 {
		t.Error("it is asked again at once")
	}
	talk(t, client, a.nc)

	var err error
	if x.taker, err = newTaker(x.path, func(nc net.Conn, data []byte) bool {
		x.arrived <- arrival{nc, string(data)}
		return true
	}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	client, server = connection(t)
	x.give(server, "new")
	if a = <-x.arrived; a.data != "new" {
		t.Errorf("%q", a.data)
	}
	talk(t, client, a.nc)
}

// What is no connection is refused, and the next one taken.
func TestTakerRefuses(t *testing.T) {
	x := newStation(t)
	nc, err := net.Dial("unixpacket", x.path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	answer := make([]byte, 8)
	for _, text := range []string{"{}\n", "nonsense", "{}"} {
		if _, err := io.WriteString(nc, text); err != nil {
			t.Fatal(err)
		}
		if n, err := nc.Read(answer); err != nil || string(answer[:n]) != string(rune(notTaken)) {
			t.Errorf("%q: %q %v", text, answer[:n], err)
		}
	}
	client, server := connection(t)
	x.give(server, "x")
	talk(t, client, (<-x.arrived).nc)
}
