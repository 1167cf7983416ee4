package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/auth"
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

// TestPubsubReload changes what clients may have: it holds for who is connected, and
// takes nothing from them.
func TestPubsubReload(t *testing.T) {
	f := newFile(t, "pubsub-max-topics: 1\n")
	r := serve(t, "--config", f.name)
	c := speaks(t, r, nil)
	subscribes := func(topic, want string) {
		t.Helper()
		c.send(ws.OpText, `{"op":"subscribe","id":1,"topic":"`+topic+`"}`)
		if _, got := c.frame(); !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %s", topic, got)
		}
	}
	subscribes("a", `{"op":"ok",`)
	subscribes("b", `{"op":"error","id":1,"code":"limit",`)
	f.write("pubsub-max-topics: 2\n")
	r.mustReload("")
	subscribes("b", `{"op":"ok",`)
	f.write("pubsub-max-topics: 0\n")
	r.mustReload("--pubsub-max-topics")
	f.write("pubsub-max-topics: 1\npubsub-ping: 7s\n")
	r.mustReload("")
	subscribes("c", `{"op":"error","id":1,"code":"limit",`)
	c.send(ws.OpText, `{"op":"publish","topic":"b","data":1}`)
	c.expect(ws.OpText, `{"op":"message","topic":"b","data":1}`)
	late := r.dial("/pubsub", http.Header{"Sec-Websocket-Protocol": {"wsd.json.v1"}})
	if _, hello := late.frame(); !strings.HasSuffix(string(hello), `,"ping":7}`) {
		t.Errorf("%s", hello)
	}
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

func TestPubsubClientIsServed(t *testing.T) {
	r := serve(t)
	if status, body := r.get("/pubsub/client.js"); status != http.StatusOK || !strings.Contains(body, "class WsdPubsub") {
		t.Errorf("%d %.100s", status, body)
	}
}

// TestPubsubToken holds /pubsub against what tokens allow, has one renewed, and is
// told when it ends.
func TestPubsubToken(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--jwt-leeway", "0s")
	allow := func(g *auth.Grant) { g.Subscribe, g.Publish = []string{"news"}, []string{"chat/{sub}"} }
	c := speaks(t, r, bearerHeader(token(t, allow)))
	for _, x := range []struct{ sent, want string }{
		{`{"op":"subscribe","id":1,"topic":"news"}`, `{"op":"ok","id":1}`},
		{`{"op":"subscribe","id":2,"topic":"chat/ann"}`, `{"op":"error","id":2,"code":"forbidden",`},
		{`{"op":"publish","id":3,"topic":"news","data":1}`, `{"op":"error","id":3,"code":"forbidden",`},
		{`{"op":"publish","id":4,"topic":"chat/ann","data":1}`, `{"op":"ok","id":4}`},
		{`{"op":"auth","id":5,"token":"x"}`, `{"op":"error","id":5,"code":"unauthorized",`},
		{`{"op":"auth","id":6,"token":"` + token(t, func(g *auth.Grant) { g.User = "bob" }) + `"}`, `{"op":"error","id":6,"code":"unauthorized",`},
		{`{"op":"auth","id":7,"token":"` + token(t, func(g *auth.Grant) { g.Expires = time.Now().Add(5 * time.Second) }) + `"}`, `{"op":"ok","id":7}`},
		{"", `{"op":"error","topic":"news","code":"forbidden",`},
		{"", `{"op":"error","code":"expired",`},
	} {
		if x.sent != "" {
			c.send(ws.OpText, x.sent)
		}
		if _, got := c.frame(); !strings.HasPrefix(string(got), x.want) {
			t.Fatalf("%.40s\n got %s\nwant %s", x.sent, got, x.want)
		}
	}
	c.expectClose(ws.StatusPolicyViolation, textExpired)
}
