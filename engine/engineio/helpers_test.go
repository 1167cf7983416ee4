package engineio_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// patience is how long a test waits for what has to come.
const patience = 30 * time.Second

// ended is a call of CloseSession.
type ended struct {
	sid, description string
	reason           engineio.Reason
}

// app is the Handler of the tests. A message is sent back; text that begins with
// an exclamation mark is a command.
type app struct {
	open    func(*engineio.Session)
	message func(s *engineio.Session, data []byte, binary bool) bool // true: handled

	mu     sync.Mutex
	opened []*engineio.Session
	ended  []ended
}

func (a *app) OpenSession(s *engineio.Session) {
	a.mu.Lock()
	a.opened = append(a.opened, s)
	a.mu.Unlock()
	if a.open != nil {
		a.open(s)
	}
}

func (a *app) Message(s *engineio.Session, data []byte, binary bool) {
	if a.message != nil && a.message(s, data, binary) {
		return
	}
	switch {
	case binary:
		s.SendBinary(data)
	case string(data) == "!panic":
		panic("as told")
	case string(data) == "!close":
		s.Close(engineio.ForcedClose)
	case string(data) == "!bye":
		s.SendText([]byte("4bye"))
		s.Close(engineio.ForcedClose)
	default:
		s.SendText(append([]byte("4"), data...))
	}
}

func (a *app) CloseSession(s *engineio.Session, reason engineio.Reason, description string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = append(a.ended, ended{s.ID(), description, reason})
}

// endOf is how a session ended.
func (a *app) endOf(sid string) (e ended, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.ended {
		if e.sid == sid {
			return e, true
		}
	}
	return e, false
}

// sessionOf is a session that was opened, or is about to be: the answer to its
// handshake comes before OpenSession.
func (a *app) sessionOf(t testing.TB, sid string) (found *engineio.Session) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, s := range a.opened {
			if s.ID() == sid {
				found = s
			}
		}
		return found != nil
	}, patience)
	return found
}

// server is one that tests talk to.
type server struct {
	*engineio.Server
	app    *app
	engine *engine.App
	addr   string
	t      testing.TB
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// serve starts a server at /engine.io/ on two loops.
func serve(t testing.TB, opts engineio.Options, a *app) *server {
	t.Helper()
	return serveOn(t, engine.Options{Loops: 2}, opts, a)
}

func serveOn(t testing.TB, on engine.Options, opts engineio.Options, a *app) *server {
	t.Helper()
	if a == nil {
		a = new(app)
	}
	on.Logger, opts.Logger = quiet(), quiet()
	srv, err := engineio.New(opts, a)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, srv, engine.New(on).Mount("/engine.io/", srv), a)
}

// start serves until the test ends, and then looks for what is left.
func start(t testing.TB, srv *engineio.Server, e *engine.App, a *app) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- e.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := e.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, engine.ErrShutdown) {
			t.Errorf("Serve: %v", err)
		}
		if n := srv.Sessions(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		if s := srv.Stats(); s.Parked != 0 || s.OnSocket != 0 {
			t.Errorf("%d polls and %d WebSockets are left", s.Parked, s.OnSocket)
		}
	})
	return &server{srv, a, e, l.Addr().String(), t}
}

func (s *server) url(query string) string { return "http://" + s.addr + "/engine.io/?" + query }

// wantEnd waits for the end of a session.
func (s *server) wantEnd(sid string, reason engineio.Reason, description string) {
	s.t.Helper()
	testkit.Eventually(s.t, func() bool { _, ok := s.app.endOf(sid); return ok }, patience)
	if e, _ := s.app.endOf(sid); e.reason != reason || e.description != description {
		s.t.Fatalf("session ended by %q (%s), want %q (%s)", e.reason, e.description, reason, description)
	}
}

// wantOpen checks that a session has not ended.
func (s *server) wantOpen(sid string) {
	s.t.Helper()
	if e, ok := s.app.endOf(sid); ok {
		s.t.Fatalf("session ended by %q (%s)", e.reason, e.description)
	}
	if s.Session(sid) == nil {
		s.t.Fatal("session is not registered")
	}
}

// wantParked waits until so many polls are parked.
func (s *server) wantParked(n int) {
	s.t.Helper()
	testkit.Eventually(s.t, func() bool { return s.Stats().Parked == n }, patience)
}

// do runs fn on a session's loop and waits for it.
func (s *server) do(sid string, fn func(*engineio.Session)) {
	s.t.Helper()
	x := s.app.sessionOf(s.t, sid)
	done := make(chan struct{})
	if !x.Loop().Post(func() { defer close(done); fn(x) }) {
		s.t.Fatal("the loop has ended")
	}
	<-done
}

// reply is an HTTP answer.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

// poller is a client that polls.
type poller struct {
	t     testing.TB
	srv   *server
	sid   string
	query string // without the sid
	open  openPacket
	http  *http.Client
}

type openPacket struct {
	SID                                   string
	Upgrades                              []string
	PingInterval, PingTimeout, MaxPayload int
}

// briefly has a connection leave nothing behind when it is closed: fuzzing would
// use up the ports.
func briefly(nc net.Conn) net.Conn {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	return nc
}

// client is an HTTP client whose connections end with the test.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		return briefly(nc), err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 4 * patience}
}

// poll opens a session.
func (s *server) poll(query string) *poller {
	s.t.Helper()
	p, err := s.tryPoll(query)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// tryPoll is poll for a heartbeat so quick that a handshake's answer may be late for it:
// the error says that there was none.
func (s *server) tryPoll(query string) (*poller, error) {
	s.t.Helper()
	p := &poller{t: s.t, srv: s, query: query, http: client(s.t)}
	r := p.do("GET", "", nil)
	if r.err != nil {
		return nil, r.err
	}
	if r.status != 200 {
		s.t.Fatalf("handshake: %d %q", r.status, r.body)
	}
	_, text, ok := strings.Cut(r.body, "0{")
	if !ok {
		s.t.Fatalf("handshake: %q", r.body)
	}
	if err := json.NewDecoder(strings.NewReader("{" + text)).Decode(&p.open); err != nil {
		s.t.Fatal(err)
	}
	p.sid = p.open.SID
	return p, nil
}

const v4 = "EIO=4&transport=polling"

func (p *poller) do(method, body string, header http.Header) reply {
	return p.doCtx(context.Background(), method, body, header)
}

func (p *poller) doCtx(ctx context.Context, method, body string, header http.Header) reply {
	query := p.query
	if p.sid != "" {
		query += "&sid=" + p.sid
	}
	var r io.Reader
	if method == "POST" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.srv.url(query), r)
	if err != nil {
		return reply{err: err}
	}
	for k, v := range header {
		req.Header[k] = v
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err}
}

// get polls once.
func (p *poller) get() reply { return p.do("GET", "", nil) }

// wantGet polls once and checks the payload.
func (p *poller) wantGet(want string) {
	p.t.Helper()
	p.get().want(p.t, 200, want)
}

// park polls in the background, and waits until the server has the GET.
func (p *poller) park() <-chan reply {
	p.t.Helper()
	before := p.srv.Stats().Parked
	got := make(chan reply, 1)
	go func() { got <- p.get() }()
	p.srv.wantParked(before + 1)
	return got
}

func (p *poller) post(body string) reply { return p.do("POST", body, nil) }

func (p *poller) wantPost(body string) {
	p.t.Helper()
	p.post(body).want(p.t, 200, "ok")
}

func (r reply) want(t testing.TB, status int, body string) {
	t.Helper()
	if r.err != nil || r.status != status || r.body != body {
		t.Fatalf("got %d %q %v, want %d %q", r.status, r.body, r.err, status, body)
	}
}

// wantRefused checks an error of the protocol.
func (r reply) wantRefused(t testing.TB, status, code int, message string) {
	t.Helper()
	var e struct {
		Code    int
		Message string
	}
	if r.err == nil {
		r.err = json.Unmarshal([]byte(r.body), &e)
	}
	if r.err != nil || r.status != status || e.Code != code || e.Message != message {
		t.Fatalf("got %d %q %v, want %d with code %d, %q", r.status, r.body, r.err, status, code, message)
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Fatalf("Content-Type %q", got)
	}
}

// received waits for what arrives in the background.
func received[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// socket is a WebSocket client.
type socket struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func upgradeHead(query string, fields ...string) string {
	head := "GET /engine.io/?" + query + " HTTP/1.1\r\nHost: example.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	return head + "\r\n"
}

// knock connects and sends bytes.
func (s *server) knock(bytes string) *socket {
	s.t.Helper()
	nc, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(4 * patience))
	c := &socket{briefly(nc), s.t, bufio.NewReader(nc)}
	c.raw(bytes)
	return c
}

func (c *socket) raw(bytes string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, bytes); err != nil {
		c.t.Fatal(err)
	}
}

// rest reads until the server closes.
func (c *socket) rest() string {
	c.t.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

// dial opens a WebSocket.
func (s *server) dial(query string, fields ...string) *socket {
	s.t.Helper()
	return s.dialPath("/engine.io/?"+query, fields...)
}

func (s *server) dialPath(path string, fields ...string) *socket {
	s.t.Helper()
	c := s.knock(strings.Replace(upgradeHead("", fields...), "/engine.io/?", path, 1))
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if resp.StatusCode != 101 {
		b, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("status %d %q", resp.StatusCode, b)
	}
	return c
}

const w4 = "EIO=4&transport=websocket"

// session opens a WebSocket session and reads its open packet.
func (s *server) session(query string) (*socket, string) {
	s.t.Helper()
	c := s.dial(query)
	text := c.text()
	var p openPacket
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "0")), &p); err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return c, p.SID
}

func frameOf(op ws.OpCode, msg string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, true, []byte(msg)), [4]byte{1, 2, 3, 4}))
}

func (c *socket) send(text string) {
	c.t.Helper()
	c.raw(string(frameOf(ws.OpText, text)))
}

func (c *socket) sendBinary(data string) {
	c.t.Helper()
	c.raw(string(frameOf(ws.OpBinary, data)))
}

// frame reads a frame.
func (c *socket) frame() ws.Frame {
	c.t.Helper()
	f, err := c.next()
	if err != nil {
		c.t.Fatal(err)
	}
	return f
}

// next is frame for goroutines beside the test's.
func (c *socket) next() (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(c.r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(c.r, f.Payload)
	return f, err
}

// text reads a text message.
func (c *socket) text() string {
	c.t.Helper()
	f := c.frame()
	if f.Header.OpCode != ws.OpText {
		c.t.Fatalf("got opcode %d, %q", f.Header.OpCode, f.Payload)
	}
	return string(f.Payload)
}

func (c *socket) want(text string) {
	c.t.Helper()
	if got := c.text(); got != text {
		c.t.Fatalf("got %q, want %q", got, text)
	}
}

func (c *socket) wantBinary(data string) {
	c.t.Helper()
	f := c.frame()
	if f.Header.OpCode != ws.OpBinary || string(f.Payload) != data {
		c.t.Fatalf("got opcode %d, %q", f.Header.OpCode, f.Payload)
	}
}

// wantClose reads the Close frame; code 0 is an empty one.
func (c *socket) wantClose(code uint16, text string) {
	c.t.Helper()
	f := c.frame()
	var want []byte
	if code != 0 {
		want = ws.NewCloseFrameBody(ws.StatusCode(code), text)
	}
	if f.Header.OpCode != ws.OpClose || !bytes.Equal(f.Payload, want) {
		c.t.Fatalf("got opcode %d, %q, want a Close frame with %d %q", f.Header.OpCode, f.Payload, code, text)
	}
	c.raw(string(ws.MustCompileFrame(ws.MaskFrame(ws.NewCloseFrame(f.Payload)))))
	if rest := c.rest(); rest != "" {
		c.t.Fatalf("behind the Close frame came %q", rest)
	}
}

func opcode(n int) ws.OpCode { return ws.OpCode(n) }

// forget drops what was recorded.
func (a *app) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.opened, a.ended = nil, nil
}

// closeAll closes all sessions, and forgets them.
func (a *app) closeAll() {
	a.mu.Lock()
	all := a.opened
	a.opened, a.ended = nil, nil
	a.mu.Unlock()
	for _, s := range all {
		s.Loop().Post(func() { s.Close(engineio.ForcedClose) })
	}
}

// in is the server for another test.
func (s server) in(t testing.TB) *server {
	s.t = t
	return &s
}

// tryDial is dial for an upgrade that may fail.
func (s *server) tryDial(query, sid string) (*socket, error) {
	nc, err := net.DialTimeout("tcp", s.addr, patience)
	if err != nil {
		return nil, err
	}
	c := &socket{briefly(nc), s.t, bufio.NewReader(nc)}
	_ = nc.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(nc, upgradeHead(strings.Replace(query, "polling", "websocket", 1)+"&sid="+sid))
	resp, err := http.ReadResponse(c.r, nil)
	if err == nil && resp.StatusCode != 101 {
		err = errors.New(resp.Status)
	}
	if err != nil {
		_ = nc.Close()
	}
	return c, err
}
