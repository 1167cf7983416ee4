package main

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
)

func TestParseMembership(t *testing.T) {
	tests := []struct {
		topic, query string
		want         *membership // nil: an error
	}{
		{"a", "", &membership{"a", []string{"a"}, true, false}},
		{"a/b", "self=1", &membership{"a/b", []string{"a/b"}, true, true}},
		{"a", "self=0", &membership{"a", []string{"a"}, true, false}},
		{"a", "topic=b&topic=c", &membership{"a", []string{"a", "b", "c"}, true, false}},
		{"a", "mode=sub&topic=b", &membership{"a", []string{"a", "b"}, false, false}},
		{"a", "mode=pub", &membership{"a", nil, true, false}},
		{strings.Repeat("x", engine.MaxTopicLen), "mode=pub", &membership{strings.Repeat("x", engine.MaxTopicLen), nil, true, false}},
		{"", "", nil},
		{"a", "topic=", nil},
		{"a", "mode=both", nil},
		{"a", "self=yes", nil},
		{"a\xff", "", nil},
		{strings.Repeat("x", engine.MaxTopicLen+1), "", nil},
		{"a", "topic=" + strings.Repeat("x", engine.MaxTopicLen+1), nil},
		{"a", strings.Repeat("topic=b&", maxTopics), nil},
	}
	for _, tt := range tests {
		query, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseMembership(tt.topic, query)
		if !reflect.DeepEqual(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%.20q ?%.40s: %+v, %v; want %+v", tt.topic, tt.query, got, err, tt.want)
		}
	}
}

// joined dials a topics path and returns once the subscriptions stand: Open
// runs before the first frame is read, here a ping.
func joined(t *testing.T, r *running, target string) *client {
	t.Helper()
	c := r.dial(target, nil)
	if err := ws.WriteFrame(c.conn, ws.MaskFrameInPlace(ws.NewPingFrame([]byte("up?")))); err != nil {
		t.Fatal(err)
	}
	if op, _ := c.frame(); op != ws.OpPong {
		t.Fatalf("opcode %d instead of a pong", op)
	}
	return c
}

func TestTopics(t *testing.T) {
	r := serve(t, "--loops", "2")
	a, b := joined(t, r, "/topics/news/today"), joined(t, r, "/topics/news/today")
	both := joined(t, r, "/topics/other?topic=news/today&mode=sub")
	self := joined(t, r, "/topics/other?self=1")

	a.send(ws.OpText, "one")
	b.expect(ws.OpText, "one")
	both.expect(ws.OpText, "one")

	b.send(ws.OpBinary, "\x00\xff")
	a.expect(ws.OpBinary, "\x00\xff") // and not its own "one" before it
	both.expect(ws.OpBinary, "\x00\xff")

	self.send(ws.OpText, "to all")
	self.expect(ws.OpText, "to all")
	both.expect(ws.OpText, "to all")

	pub := joined(t, r, "/topics/other?mode=pub")
	pub.send(ws.OpText, "from outside")
	self.expect(ws.OpText, "from outside")
	both.expect(ws.OpText, "from outside")

	both.send(ws.OpText, "may not")
	both.expectClose(ws.StatusPolicyViolation, "mode=sub: this connection only receives")
}

func TestTopicsDecodesThePath(t *testing.T) {
	r := serve(t)
	a, b := joined(t, r, "/topics/caf%C3%A9%20x"), joined(t, r, "/topics/y?topic=caf%C3%A9+x")
	a.send(ws.OpText, "bonjour")
	b.expect(ws.OpText, "bonjour")
}

func TestTopicsRefuses(t *testing.T) {
	r := serve(t)
	for _, target := range []string{"/topics/", "/topics/a?mode=x", "/topics/a?self=x", "/topics/a?topic=", "/topics/%FF", "/topics/" + strings.Repeat("x", engine.MaxTopicLen+1)} {
		if _, err := dial("ws://"+r.addr+target, nil); status(err) != http.StatusBadRequest {
			t.Errorf("%.40s: %v", target, err)
		}
	}
}
