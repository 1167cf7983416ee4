package engineio_test

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/engine/engineio"
)

// twins are servers that find each other's sessions.
func twins(t *testing.T) (servers [2]*server, passed *atomic.Int64) {
	t.Helper()
	passed = new(atomic.Int64)
	ready := make(chan struct{})
	defer close(ready)
	for i, id := range []string{"one", "two"} {
		servers[i] = serve(t, engineio.Options{ServerID: id, Elsewhere: func(sid string) func(net.Conn, []byte) {
			<-ready
			if other := servers[1-i]; other.Owns(sid) {
				return func(nc net.Conn, data []byte) {
					passed.Add(1)
					_ = other.engine.Adopt(nc, data)
				}
			}
			return nil
		}}, nil)
	}
	return servers, passed
}

// stranger polls a session that was not opened here.
func (s *server) stranger(sid string) *poller {
	return &poller{t: s.t, srv: s, query: v4, sid: sid, http: client(s.t)}
}

// A session is reached through the server that does not have it: by polls, posts,
// and the WebSocket that takes it over.
func TestSessionElsewhere(t *testing.T) {
	servers, passed := twins(t)
	home, away := servers[0], servers[1]
	sid := home.poll(v4).sid
	far := away.stranger(sid)
	held := make(chan reply, 1)
	go func() { held <- far.get() }()
	home.wantParked(1)
	far.wantPost("4hello")
	received(t, held).want(t, 200, "4hello")

	c := away.dial("EIO=4&transport=websocket&sid=" + sid)
	c.send("2probe")
	c.want("3probe")
	c.send("5")
	c.send("4by socket")
	c.want("4by socket")
	if n := passed.Load(); n != 3 {
		t.Errorf("%d connections were passed on, want one for polls, one for posts, one WebSocket", n)
	}
}

// Who has no session there either gets the usual answer, from the server whose it
// would be; an id that is nobody's is refused at once.
func TestNoSessionElsewhere(t *testing.T) {
	servers, passed := twins(t)
	gone := engineio.Prefix("one") + "0123456789abcdef"
	for _, s := range servers {
		s.stranger(gone).get().wantRefused(t, 400, 1, "Session ID unknown")
		s.stranger("nobody").get().wantRefused(t, 400, 1, "Session ID unknown")
	}
	if n := passed.Load(); n != 1 {
		t.Errorf("%d connections were passed on, want 1", n)
	}
	if n := servers[0].Stats().Refused[1]; n != 3 {
		t.Errorf("the owner refused %d requests, want 3", n)
	}
}
