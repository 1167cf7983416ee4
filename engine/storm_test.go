package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// crowd are the open connections that handlers of others may close.
type crowd struct {
	mu    sync.Mutex
	conns map[*engine.Conn]struct{}
}

func (k *crowd) set(c *engine.Conn, present bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if present {
		k.conns[c] = struct{}{}
	} else {
		delete(k.conns, c)
	}
}

// any is some connection, or nil.
func (k *crowd) any() *engine.Conn {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		return c
	}
	return nil
}

// stormApp commands: sub T, unsub T, pub T M, app T M, kill, terminate, close.
func stormApp(opened, closed *atomic.Int64) *engine.App {
	app := engine.New(engine.Options{Loops: 3, Logger: quiet()})
	k := &crowd{conns: map[*engine.Conn]struct{}{}}
	app.WS("/*", engine.Behavior{
		Compression: engine.CompressionShared,
		Open: func(c *engine.Conn) {
			opened.Add(1)
			k.set(c, true)
		},
		Close: func(c *engine.Conn, _ engine.StatusCode, _ string) {
			closed.Add(1)
			k.set(c, false)
			_ = app.Publish("goodbye", []byte("one left"), engine.Text)
		},
		Message: func(c *engine.Conn, msg []byte, op engine.OpCode) {
			word := strings.SplitN(string(msg), " ", 3)
			switch word[0] {
			case "sub":
				c.Subscribe(word[1])
			case "unsub":
				c.Unsubscribe(word[1])
			case "pub":
				_ = c.Publish(word[1], []byte(word[2]), op)
			case "app":
				_ = app.Publish(word[1], []byte(word[2]), op)
			case "kill":
				if other := k.any(); other != nil {
					other.Loop().Post(func() { other.Terminate() })
				}
			case "close":
				if other := k.any(); other != nil {
					other.Loop().Post(func() { other.Close(4001, "by another") })
				}
			default:
				c.Send(msg, op)
			}
		},
	})
	app.Handle("/http", okHandler{})
	return app
}

// TestStorm connects 20,000 times and leaves in every way there is. Nothing may
// be left behind.
func TestStorm(t *testing.T) {
	const connects, workers = 20_000, 32
	var opened, closed, dialed atomic.Int64
	app := stormApp(&opened, &closed)
	addr := serve(t, app)
	warm := dial(t, addr, "/")
	warm.text("hello")
	warm.wantText("hello")
	_ = warm.Close()
	testkit.Eventually(t, func() bool { return app.Leftovers() == "" }, patience)
	_, fds := testkit.GoroutinesAndFDs()
	heap := liveHeap()

	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for dialed.Add(1) <= connects {
				if err := rush(r, addr); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	wg.Wait()
	testkit.Eventually(t, func() bool { return app.Leftovers() == "" && opened.Load() == closed.Load() }, 4*patience)
	if left := app.Leftovers(); left != "" {
		t.Error("left behind:", left)
	}
	if opened.Load() < connects/2 {
		t.Errorf("only %d of %d connections were opened", opened.Load(), connects)
	}
	if s := snapshot(t, app); s.Connections != 0 || s.Topics != 0 || s.Total().Panics != 0 {
		t.Errorf("stats: %+v", s)
	}
	testkit.Eventually(t, func() bool { _, n := testkit.GoroutinesAndFDs(); return n <= fds }, patience)
	// Buffers that grew once and a page of operators per loop may stay.
	if now := liveHeap(); now > heap+4<<20 {
		t.Errorf("live heap grew from %d to %d bytes", heap, now)
	}
	t.Logf("%d opened, %d closed", opened.Load(), closed.Load())
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// rush opens one connection, does something with it and leaves in some way. An
// error is something that must not happen even in a storm.
func rush(r *rand.Rand, addr string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	tcp := nc.(*net.TCPConn)
	defer tcp.Close()
	_ = tcp.SetDeadline(time.Now().Add(4 * patience))
	if r.IntN(4) == 0 {
		_ = tcp.SetLinger(0) // leaves with RST
	}
	switch r.IntN(20) {
	case 0: // silent
		return nil
	case 1: // half a request
		_, _ = tcp.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpg"))
		return nil
	case 2: // not for us
		_, _ = tcp.Write([]byte("GET /http HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		if status, err := bufio.NewReader(tcp).ReadString('\n'); err != nil || !strings.Contains(status, "200") {
			return fmt.Errorf("HTTP in a storm: %q, %v", status, err)
		}
		return nil
	}
	d := ws.Dialer{}
	rd, _, err := d.Upgrade(tcp, mustURL("ws://"+addr+"/"))
	if err != nil {
		return fmt.Errorf("upgrade in a storm: %w", err)
	}
	if rd != nil {
		defer ws.PutReader(rd)
	}
	say := func(text string) { _ = wsutil.WriteClientMessage(tcp, ws.OpText, []byte(text)) }
	topic := fmt.Sprint("t", r.IntN(5))
	for range r.IntN(8) {
		switch r.IntN(10) {
		case 0, 1, 2:
			say("sub " + topic)
		case 3:
			say("unsub " + topic)
		case 4, 5:
			say("pub " + topic + " " + strings.Repeat("m", 1+r.IntN(300)))
		case 6:
			say("app " + topic + " " + strings.Repeat("n", 1+r.IntN(300)))
		case 7:
			say("kill")
		case 8:
			say("close")
		case 9:
			say("echo this")
			say("sub goodbye")
		}
	}
	switch r.IntN(6) {
	case 0:
		_, _ = tcp.Write(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))))
	case 1:
		_ = tcp.CloseWrite()
	case 2:
		_, _ = tcp.Write([]byte{0x81, 0x05, 'x'}) // not masked
	case 3:
		_, _ = tcp.Write([]byte{0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 'h', 'a', 'l', 'f'})
	}
	if r.IntN(3) == 0 {
		_ = tcp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = tcp.Read(make([]byte, 1<<10))
	}
	return nil
}

// TestShutdownInAStorm drains an App while clients come, talk and go.
func TestShutdownInAStorm(t *testing.T) {
	var opened, closed atomic.Int64
	app := stormApp(&opened, &closed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Serve(l) }()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for {
				select {
				case <-stop:
					return
				default:
					_ = rush(r, l.Addr().String()) // refused once it drains
				}
			}
		}()
	}
	testkit.Eventually(t, func() bool { return opened.Load() > 500 }, 4*patience)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	close(stop)
	wg.Wait()
	if err := <-done; err != engine.ErrShutdown {
		t.Errorf("Serve: %v", err)
	}
	if opened.Load() != closed.Load() {
		t.Errorf("%d opened, %d closed", opened.Load(), closed.Load())
	}
}
