package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

func TestEchoPath(t *testing.T) {
	r := serve(t, "--max-payload", "1KiB")
	c := r.dial("/echo", nil)
	c.send(ws.OpText, "hello")
	c.expect(ws.OpText, "hello")
	c.send(ws.OpBinary, "\x00\xff")
	c.expect(ws.OpBinary, "\x00\xff")
	c.send(ws.OpText, strings.Repeat("x", 1<<10))
	c.expect(ws.OpText, strings.Repeat("x", 1<<10))
	c.send(ws.OpText, strings.Repeat("x", 1<<10+1))
	op, payload := c.frame()
	if code, _ := ws.ParseCloseFrameData(payload); op != ws.OpClose || code != ws.StatusMessageTooBig {
		t.Errorf("opcode %d, code %d", op, code)
	}
}

func TestEchoCommandEchoesOnEveryPath(t *testing.T) {
	c := parse(t, "echo", "--listen", "127.0.0.1:0", "--loops", "1").Echo
	r := start(t, c.config(&process{stdout: io.Discard, stderr: io.Discard}))
	for _, path := range []string{"/", "/any/thing", "/topics/x?y=1"} {
		c := r.dial(path, nil)
		c.send(ws.OpText, path)
		c.expect(ws.OpText, path)
	}
}

func TestHealth(t *testing.T) {
	r := serve(t, "--max-connections", "1")
	ask := func() (h health) {
		t.Helper()
		status, body := r.get("/health")
		if err := json.Unmarshal([]byte(body), &h); status != http.StatusOK || err != nil {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		return h
	}
	if h, want := ask(), (health{Status: "ok", Limit: 1, Accepting: true}); h != want {
		t.Errorf("%+v, want %+v", h, want)
	}
	c := r.dial("/echo", nil)
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	if h, want := ask(), (health{Status: "full", Connections: 1, Limit: 1}); h != want {
		t.Errorf("%+v, want %+v", h, want)
	}
	c.conn.Close()
	testkit.Eventually(t, func() bool { return ask().Accepting }, patience)
}

func TestOverCapacity(t *testing.T) {
	r := serve(t, "--max-connections", "1")
	first := r.dial("/echo", nil)
	first.send(ws.OpText, "in")
	first.expect(ws.OpText, "in")
	r.dial("/topics/a", nil).expectClose(ws.StatusPolicyViolation, "Server at capacity")
	first.send(ws.OpText, "still in")
	first.expect(ws.OpText, "still in")
}

func TestOtherPaths(t *testing.T) {
	r := serve(t)
	for _, path := range []string{"/nothing", "/healthy", "/socket.io"} {
		if status, body := r.get(path); status != http.StatusNotFound || len(body) > 100 {
			t.Errorf("GET %s: %d %q", path, status, body)
		}
	}
	for _, path := range []string{"/echo", "/topics/a"} {
		if status, _ := r.get(path); status != http.StatusUpgradeRequired {
			t.Errorf("GET %s without a handshake: %d", path, status)
		}
	}
	if _, err := dial("ws://"+r.addr+"/nothing", nil); status(err) != http.StatusNotFound {
		t.Errorf("handshake on a path that is not served: %v", err)
	}
	resp, err := http.Post("http://"+r.addr+"/health", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /health: %d", resp.StatusCode)
	}
}

// A handshake that is no GET goes to net/http, and from there back to a loop,
// which must answer it.
func TestHandshakeByPost(t *testing.T) {
	r := serve(t)
	req, err := http.NewRequest(http.MethodPost, "http://"+r.addr+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestHintsNameTheAddress(t *testing.T) {
	var out lockedBuffer
	c := parse(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--hints").Serve
	r := start(t, c.config(&process{stdout: &out, stderr: io.Discard}))
	if status, _ := r.get("/health"); status != http.StatusOK {
		t.Errorf("the address in them answers %d", status)
	}
	if text := out.String(); !strings.Contains(text, "http://"+r.addr+"/chat") || strings.Contains(text, "%!") {
		t.Errorf("%s", text)
	}
}

func TestDrainClosesWith1001(t *testing.T) {
	r := serve(t)
	c := r.dial("/echo", nil)
	c.send(ws.OpText, "x")
	c.expect(ws.OpText, "x")
	r.stop()
	c.expectClose(ws.StatusGoingAway, "server is shutting down")
	c.conn.Close()
	if err := r.wait(); err != nil {
		t.Errorf("run: %v", err)
	}
}

func TestDrainShowsItselfToBalancers(t *testing.T) {
	c := parse(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0").Serve
	r := start(t, c.config(&process{stdout: io.Discard, stderr: io.Discard}))
	held := r.dial("/echo", nil)
	held.send(ws.OpText, "x")
	held.expect(ws.OpText, "x")
	r.stop()
	testkit.Eventually(t, func() bool {
		status, body := r.get("/health")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"draining":true`)
	}, patience)
	held.conn.Close() // nobody is left: the wait ends early
	begin := time.Now()
	if err := r.wait(); err != nil {
		t.Errorf("run: %v", err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("took %v", took)
	}
}
