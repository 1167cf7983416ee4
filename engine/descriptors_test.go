package engine_test

import (
	"math"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// plain hides what a listener is, so that goroutines accept and serve its clients.
type plain struct{ net.Listener }

// Clients who would take descriptors that are not for them are closed at once, told
// of and counted, on loops and on goroutines.
func TestDescriptorsAreKept(t *testing.T) {
	var told atomic.Int64
	app := engine.New(engine.Options{Loops: 1, Logger: quiet(), KeepDescriptors: math.MaxInt, Refused: func(r engine.Refusal) {
		if r.Cause == engine.RefusedDescriptors && r.Remote.IsValid() {
			told.Add(1)
		}
	}}).WS("/", engine.Behavior{Message: echo})
	addresses := []string{serve(t, app)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go app.Serve(plain{l})
	addresses = append(addresses, l.Addr().String())
	const each = 10
	for _, addr := range addresses {
		for range each {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("%s: %v", addr, err)
			}
			_ = c.Close()
		}
	}
	testkit.Eventually(t, func() bool { return told.Load() == 2*each }, patience)
	if s := snapshot(t, app); s.FDRefused != 2*each || s.Sockets != 0 || s.Total().AcceptPauses != 0 {
		t.Errorf("%+v", s)
	}
}
