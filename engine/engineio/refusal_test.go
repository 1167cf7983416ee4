package engineio_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
)

func TestRefusals(t *testing.T) {
	forbid := func(err error) engineio.Options {
		return engineio.Options{AllowRequest: func(*engineio.Request) error { return err }}
	}
	for _, c := range []struct {
		name, method, query string
		opts                engineio.Options
		status, code        int
		message             string
	}{
		{name: "no transport", query: "EIO=4", message: "Transport unknown"},
		{name: "unknown transport", query: "EIO=4&transport=foo", message: "Transport unknown"},
		{name: "webtransport", query: "EIO=4&transport=webtransport", message: "Transport unknown"},
		{name: "a property of every object", query: "EIO=4&transport=constructor", message: "Transport unknown"},
		{name: "the last of a repeated key counts", query: "EIO=4&transport=polling&transport=foo", message: "Transport unknown"},
		{name: "a malformed escape", query: "EIO=4&transport=polling%", message: "Transport unknown"},
		{name: "a transport that is off", query: v4, opts: engineio.Options{Transports: []string{"websocket"}}, message: "Transport unknown"},
		{name: "unknown sid", query: v4 + "&sid=AAAAAAAAAAAAAAAAAAAA", code: 1, message: "Session ID unknown"},
		{name: "unknown sid, POST", method: "POST", query: v4 + "&sid=AAAAAAAAAAAAAAAAAAAA", code: 1, message: "Session ID unknown"},
		{name: "sid=__proto__", query: v4 + "&sid=__proto__", code: 1, message: "Session ID unknown"},
		{name: "handshake by POST", method: "POST", query: v4, code: 2, message: "Bad handshake method"},
		{name: "an empty sid is none", method: "POST", query: v4 + "&sid=", code: 2, message: "Bad handshake method"},
		{name: "handshake by PUT", method: "PUT", query: v4, code: 2, message: "Bad handshake method"},
		{name: "OPTIONS without CORS", method: "OPTIONS", query: v4, code: 2, message: "Bad handshake method"},
		{name: "websocket without Upgrade", query: w4, code: 3, message: "Bad request"},
		{name: "revision 3", query: "EIO=3&transport=polling", code: 5, message: "Unsupported protocol version"},
		{name: "no revision", query: "transport=polling", code: 5, message: "Unsupported protocol version"},
		{name: "revision 5", query: "EIO=5&transport=polling", code: 5, message: "Unsupported protocol version"},
		{name: "revision 4 in other words", query: "EIO=04&transport=polling", code: 5, message: "Unsupported protocol version"},
		{name: "forbidden", query: v4, opts: forbid(engineio.Forbidden("")), status: 403, code: 4, message: "Forbidden"},
		{name: "forbidden with a message", query: v4, opts: forbid(errors.New(`too <busy> "now"`)), status: 403, code: 4, message: `too <busy> "now"`},
		{name: "refused otherwise", query: v4, opts: forbid(&engineio.RequestError{Status: 429, Code: 9, Message: "slowly"}), status: 429, code: 9, message: "slowly"},
		{name: "refused before its revision counts", query: "transport=polling", opts: forbid(engineio.Forbidden("")), status: 403, code: 4, message: "Forbidden"},
		{name: "origin", query: v4, opts: engineio.Options{CheckOrigin: func(*engineio.Request) bool { return false }}, status: 403, code: 4, message: "Forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, c.opts, nil)
			if c.method == "" {
				c.method = "GET"
			}
			if c.status == 0 {
				c.status = 400
			}
			p := &poller{t: t, srv: srv, query: c.query, http: client(t)}
			r := p.do(c.method, "40", nil)
			r.wantRefused(t, c.status, c.code, c.message)
			if want := `{"code":` + strconv.Itoa(c.code) + `,"message":`; !strings.HasPrefix(r.body, want) {
				t.Errorf("body %q", r.body)
			}
			if r.header.Get("Access-Control-Allow-Origin")+r.header.Get("Vary") != "" {
				t.Error("CORS without being asked")
			}
			if n := srv.Stats().Opened; n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestHEADGetsNoBody(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := &poller{t: t, srv: srv, query: v4, http: client(t)}
	p.do("HEAD", "", nil).want(t, 400, "")
	if n := srv.Stats().Refused[2]; n != 1 {
		t.Errorf("%d bad methods", n)
	}
}

func TestUpgradeRefusals(t *testing.T) {
	for _, c := range []struct {
		name, query string
		opts        engineio.Options
		status      string
		message     string
	}{
		{name: "unknown transport", query: "EIO=4&transport=foo", message: "Transport unknown"},
		{name: "a transport that is off", query: w4, opts: engineio.Options{Transports: []string{"polling"}}, message: "Transport unknown"},
		{name: "unknown sid", query: w4 + "&sid=AAAAAAAAAAAAAAAAAAAA", message: "Session ID unknown"},
		{name: "revision 3", query: "EIO=3&transport=websocket", message: "Unsupported protocol version"},
		{name: "forbidden", query: w4, opts: engineio.Options{AllowRequest: func(*engineio.Request) error { return errors.New("Unauthorized") }}, message: "Unauthorized"},
		{name: "the check panics", query: w4, opts: engineio.Options{AllowRequest: func(*engineio.Request) error { panic("as told") }}, message: "Bad request"},
		{name: "origin", query: w4, opts: engineio.Options{CheckOrigin: func(*engineio.Request) bool { return false }}, message: "Forbidden"},
		{name: "CORS does not show", query: "EIO=4&transport=foo", opts: engineio.Options{CORS: &engineio.CORS{Origins: []string{"*"}}}, message: "Transport unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := serve(t, c.opts, nil)
			got := srv.knock(upgradeHead(c.query)).rest()
			want := "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\nContent-Length: " +
				strconv.Itoa(len(c.message)) + "\r\n\r\n" + c.message
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestRefusalsOfASession(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	p := srv.poll(v4)
	with := func(query string) *poller {
		return &poller{t: t, srv: srv, sid: p.sid, query: query, http: p.http}
	}
	with("EIO=4&transport=websocket").get().wantRefused(t, 400, 3, "Bad request")
	with("EIO=3&transport=polling").get().wantRefused(t, 400, 3, "Bad request")
	with("transport=polling").post("40").wantRefused(t, 400, 3, "Bad request")
	with("EIO=4&transport=foo").get().wantRefused(t, 400, 0, "Transport unknown")
	p.do("PUT", "", nil).want(t, 500, "")
	p.do("OPTIONS", "", nil).want(t, 500, "")
	got := srv.knock(upgradeHead("EIO=3&transport=websocket&sid=" + p.sid)).rest()
	if !strings.HasSuffix(got, "\r\n\r\nBad request") {
		t.Errorf("upgrade with another revision: %q", got)
	}
	srv.wantOpen(p.sid)

	c, sid := srv.session(w4)
	(&poller{t: t, srv: srv, sid: sid, query: v4, http: p.http}).get().wantRefused(t, 400, 3, "Bad request")
	(&poller{t: t, srv: srv, sid: sid, query: w4, http: p.http}).get().wantRefused(t, 400, 3, "Bad request")
	(&poller{t: t, srv: srv, sid: sid, query: w4, http: p.http}).post("40").wantRefused(t, 400, 3, "Bad request")
	c.send("4still here")
	c.want("4still here")
}

func TestUpgradeRequestForPolling(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	srv.dial(v4).wantClose(0, "")
	p := srv.poll(v4)
	srv.dial(v4+"&sid="+p.sid).wantClose(0, "")
	p.wantPost("4x")
	p.wantGet("4x")
}

func TestPaths(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	for path, status := range map[string]int{
		"/engine.io/?" + v4:                         200,
		"/engine.io/anything?" + v4:                 200,
		"/engine.io/a/b/?" + v4:                     200,
		"/engine.io?" + v4:                          404,
		"/other?" + v4:                              404,
		"/engine.iox/?" + v4:                        404,
		"/engine.io/?%45IO=4&transp%6frt=polling":   200,
		"/engine.io/?EIO=3&EIO=4&transport=polling": 200,
		"/engine.io/?EIO=4;&transport=polling":      400,
	} {
		resp, err := client(t).Get("http://" + srv.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, status)
		}
	}
	for path, status := range map[string]string{"/engine.io/x/y": "101", "/engine.io": "404", "/other/": "404"} {
		head := strings.Replace(upgradeHead(w4), "/engine.io/", path, 1)
		c := srv.knock(head)
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(resp.Status, status) {
			t.Errorf("%s: %s, want %s", path, resp.Status, status)
		}
	}
}

func TestInvalidOriginBytes(t *testing.T) {
	srv := serve(t, engineio.Options{}, nil)
	for _, head := range []string{
		"GET /engine.io/?" + v4 + " HTTP/1.1\r\nHost: example.test\r\nOrigin: http://a\x01b\r\nConnection: close\r\n\r\n",
		upgradeHead(w4, "Origin: http://a\x01b"),
	} {
		if got := srv.knock(head).rest(); !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") {
			t.Errorf("got %q", got)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, o := range map[string]engineio.Options{
		"ping interval":   {PingInterval: 1},
		"negative time":   {PingTimeout: -1},
		"negative limit":  {MaxPayload: -1},
		"no transport":    {Transports: []string{}},
		"other transport": {Transports: []string{"webtransport"}},
		"one cookie name": {Cookie: &http.Cookie{}, Affinity: &http.Cookie{Name: "io"}},
		"* beside others": {CORS: &engineio.CORS{Origins: []string{"*", "http://a.test"}}},
	} {
		if _, err := engineio.New(o, new(app)); !errors.Is(err, engineio.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	srv, err := engineio.New(engineio.Options{}, new(app))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{})
	if err := errors.Join(srv.Mount(e, "/a/"), srv.Mount(e, "/b/")); !errors.Is(err, engineio.ErrMounted) {
		t.Errorf("mounted twice: %v", err)
	}
}
