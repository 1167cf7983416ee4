package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// speaks dials /pubsub and returns the client behind the hello.
func speaks(t *testing.T, r *running, header http.Header) *client {
	t.Helper()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Sec-WebSocket-Protocol", "wsd.json.v1")
	c := r.dial("/pubsub", header)
	if op, hello := c.frame(); op != ws.OpText || !strings.HasPrefix(string(hello), `{"op":"hello","v":1,`) || !strings.HasSuffix(string(hello), `,"ping":25}`) {
		t.Fatalf("opcode %d: %s", op, hello)
	}
	return c
}

func TestPubsub(t *testing.T) {
	r := serve(t, "--durable", "log/**=100")
	bare := joined(t, r, "/topics/log/a")
	c := speaks(t, r, nil)
	c.send(ws.OpText, `{"op":"subscribe","id":1,"topic":"log/a"}`)
	c.expect(ws.OpText, `{"op":"ok","id":1,"offset":"0-0"}`)
	bare.send(ws.OpText, "hello")
	if _, m := c.frame(); !strings.HasPrefix(string(m), `{"op":"message","topic":"log/a","data":"hello","offset":"`) {
		t.Errorf("%s", m)
	}
	c.send(ws.OpText, `{"op":"publish","topic":"log/a","data":{"x":1}}`)
	bare.expect(ws.OpText, `{"x":1}`)
}

func TestPubsubNeedsItsProtocol(t *testing.T) {
	r := serve(t)
	for _, offered := range []string{"", "other"} {
		header := http.Header{}
		if offered != "" {
			header.Set("Sec-WebSocket-Protocol", offered)
		}
		if _, err := dial("ws://"+r.addr+"/pubsub", header); status(err) != http.StatusBadRequest {
			t.Errorf("offered %q: %v", offered, err)
		}
	}
}
