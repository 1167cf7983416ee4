package daemon

import (
	"net/http"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// TestMemoryIsShort: wsd refuses new clients before its memory is used up, serves
// those that it has, and takes new ones when there is memory again.
func TestMemoryIsShort(t *testing.T) {
	p := wsdproc.Start(t, "serve", "--memory-limit", "64MiB", "--max-backpressure", "2MiB", "--drain-lb-wait", "0s", "--drain-timeout", "5s")
	good := open(t, p.Addr, "/echo")
	sayHello(t, good)
	// Clients that don't read what comes back to them.
	var greedy []*rawws.Conn
	frame := rawws.Frame{Fin: true, Op: rawws.Binary, Payload: make([]byte, 16<<10)}.Bytes()
	refused, ended := false, 0
	for i := 0; i < 400 && !refused; i++ {
		c, err := rawws.Dial(p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Patience = drainPatience
		if err := c.Upgrade("/echo", ""); err != nil {
			if c.Response == nil || c.Response.Status != http.StatusServiceUnavailable {
				t.Fatalf("client %d: %v", i, err)
			}
			refused = true
			break
		}
		greedy = append(greedy, c)
		for range 700 {
			if c.Send(frame) != nil {
				ended++ // for want of memory, as the metrics have to tell
				break
			}
		}
	}
	if !refused {
		t.Fatalf("%d clients that don't read are taken", len(greedy))
	}
	t.Logf("refused after %d", len(greedy))
	if n := status(p.Addr, "/socket.io/?EIO=4&transport=polling"); n != http.StatusServiceUnavailable {
		t.Errorf("a Socket.IO client gets %d", n)
	}
	if n := status(p.Admin, "/readyz"); n != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", n)
	}
	if n := reading(t, p, `wsd_connections_rejected_total{reason="memory"}`); n < 2 {
		t.Errorf("%v refusals are counted", n)
	}
	if n := reading(t, p, `wsd_websockets_ended_total{cause="memory"}`); int(n) < ended {
		t.Errorf("%v of %d ends are counted", n, ended)
	}
	sayHello(t, good)
	for _, c := range greedy {
		c.Reset()
	}
	testkit.Eventually(t, func() bool { return status(p.Addr, "/readyz") == http.StatusOK }, drainPatience)
	sayHello(t, open(t, p.Addr, "/echo"))
	sayHello(t, good)
	p.Alive(t)
}
