package badinput

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/test/rawws"
)

// drip sends b byte by byte, at that pace, until the server hangs up or b is
// used up. It returns a function that stops it.
func drip(c *rawws.Conn, b string, pace time.Duration) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for i := range len(b) {
			if c.Send([]byte(b[i:i+1])) != nil {
				return
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// together runs f for n connections at once and reports their errors.
func (tg *target) together(n int, f func(i int) error) {
	tg.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() {
			if err := f(i); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	shown := 0
	for err := range errs {
		if shown++; shown <= 5 {
			tg.Error(err)
		}
	}
	if shown > 5 {
		tg.Errorf("and %d more errors", shown-5)
	}
}

// TestSlowHandshakes: a byte at a time is answered with 408 once the time for
// the handshake is over, however lively the client is.
func TestSlowHandshakes(t *testing.T) {
	tg := start(t, engine.Options{HandshakeTimeout: 3 * time.Second})
	long := rawws.Request(tg.addr, "/echo", "X-Padding: "+strings.Repeat("x", 10000))
	tg.attack(func() {
		tg.together(size(50, 500), func(int) error {
			c, err := rawws.Dial(tg.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			defer drip(c, long, 20*time.Millisecond)()
			r, err := c.ReadResponse()
			if err != nil || r.Status != 408 {
				return fmt.Errorf("a byte at a time: %v, %v, want 408", r, err)
			}
			return nil
		})
	})
}

// TestSlowPlainRequests: those that become no handshake end as well.
func TestSlowPlainRequests(t *testing.T) {
	tg := start(t, engine.Options{HandshakeTimeout: 3 * time.Second})
	tg.attack(func() {
		tg.together(size(20, 200), func(i int) error {
			c, err := rawws.Dial(tg.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			method := []string{"POST ", "PUT ", "X"}[i%3]
			defer drip(c, method+"/"+strings.Repeat("x", 10000), 20*time.Millisecond)()
			if r, err := c.ReadResponse(); err == nil && r.Status < 400 {
				return fmt.Errorf("a plain request a byte at a time: status %d", r.Status)
			}
			return expect(c, rawws.End, nil)
		})
	})
}

// TestSilentConnects: thousands connect and say nothing.
func TestSilentConnects(t *testing.T) {
	tg := start(t, engine.Options{HandshakeTimeout: 3 * time.Second})
	n := size(2000, 8000)
	tg.attack(func() {
		all := make([]*rawws.Conn, n)
		grown := held(func() {
			for i := range all {
				all[i] = tg.dial()
				if i%500 == 0 {
					tg.served(tg.good)
				}
			}
		})
		// Both ends live here: about 5 KiB are the client's reader.
		if most := uint64(n) * 10 << 10; grown > most+slackHeap {
			t.Errorf("%d silent connections take %d KiB", n, grown>>10)
		}
		for i, c := range all {
			if err := expect(c, rawws.End, nil); err != nil {
				t.Fatalf("silent connection %d: %v", i, err)
			}
			c.Close()
		}
	})
}

// TestIdleConnections: those that answer no ping are closed with 1001, whether
// they are silent or never complete a frame.
func TestIdleConnections(t *testing.T) {
	tg := start(t, engine.Options{}, func(app *engine.App) {
		app.WS("/idle", engine.Behavior{IdleTimeout: 2 * time.Second})
	})
	header := rawws.Frame{Fin: true, Op: rawws.Binary, Announce: true, Length: limit}.Bytes()
	tg.attack(func() {
		tg.together(30, func(i int) error {
			c, err := rawws.Open(tg.addr, "/idle", "")
			if err != nil {
				return err
			}
			defer c.Close()
			switch i % 3 {
			case 1:
				defer drip(c, string(header)+strings.Repeat("x", 2000), 50*time.Millisecond)()
			case 2:
				c.Send(header[:3])
			}
			if err := closedWith(c, 1001); err != nil {
				return fmt.Errorf("idle client %d: %w", i%3, err)
			}
			return nil
		})
	})
}
