package engine_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// far is the client behind a proxy, and tells the header that says so.
const far = "192.0.2.1:4444"

func tells(source string) string {
	h := proxyproto.Header{}
	if source != "" {
		h.Source = netip.MustParseAddrPort(source)
	}
	return string(proxyproto.Append(nil, h))
}

// tellsTLS is that of a client that came to the proxy by TLS, and line one of version 1.
var tellsTLS = string(proxyproto.Append(nil, proxyproto.Header{Source: netip.MustParseAddrPort(far), TLS: true}))

const line = "PROXY TCP4 192.0.2.1 203.0.113.7 4444 443\r\n"

// proxied is an App that tells clients their address, and whether they came by TLS,
// wherever it can be asked for. It
// trusts all peers, or none.
type proxied struct {
	*engine.App
	stranger atomic.Bool
	refused  chan engine.Refusal
}

func newProxied(opts engine.Options) *proxied {
	p := &proxied{refused: make(chan engine.Refusal, 1024)}
	opts.Logger = quiet()
	opts.ProxyHeader = func(netip.Addr) bool { return !p.stranger.Load() }
	opts.Refused = func(r engine.Refusal) { p.refused <- r }
	p.App = engine.New(opts)
	greet := engine.Behavior{
		Upgrade: func(u *engine.Handshake) {
			_ = u.Accept(engine.Accept{UserData: u.RemoteAddr(), Header: []engine.HeaderField{{Name: "X-TLS", Value: fmt.Sprint(u.TLS())}}})
		},
		Open: func(c *engine.Conn) {
			c.Send(fmt.Append(nil, c.UserData(), " ", c.Info().Remote, " ", c.RemoteAddr(), " ", c.Info().Remote), engine.Text)
		},
		Message: echo,
	}
	p.WS("/ws", greet)
	later := greet
	later.Upgrade = func(u *engine.Handshake) {
		u.Defer()
		loops := p.Loops()
		go func() {
			_ = u.Accept(engine.Accept{UserData: u.RemoteAddr(), Loop: loops[len(loops)-1],
				Header: []engine.HeaderField{{Name: "X-TLS", Value: fmt.Sprint(u.TLS())}}})
		}()
	}
	p.WS("/later", later)
	greet.Manual = true
	p.WS("/manual", greet)
	p.Handle("/manual", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := engine.Upgrade(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
		}
	}))
	p.Handle("/who", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-TLS", fmt.Sprint(engine.TLS(r)))
		_, _ = io.WriteString(w, r.RemoteAddr)
	}))
	return p
}

// hidden is a listener that does not look like a socket's.
type hidden struct{ net.Listener }

// transports calls fn for every way of a connection into an App, with a function that
// connects and sends header before anything else, piece by piece.
func transports(t *testing.T, serving *engine.App, fn func(t *testing.T, connect func(header ...string) *client)) {
	plain := func(addr string) func(header ...string) *client {
		return func(header ...string) *client {
			c := knock(t, addr, "")
			for _, piece := range header {
				c.raw(piece)
			}
			return c
		}
	}
	t.Run("loop", func(t *testing.T) {
		l := listen(t)
		go func() { _ = serving.Serve(l) }()
		fn(t, plain(l.Addr().String()))
	})
	t.Run("goroutines", func(t *testing.T) {
		l := listen(t)
		go func() { _ = serving.Serve(hidden{l}) }()
		fn(t, plain(l.Addr().String()))
	})
	t.Run("TLS", func(t *testing.T) {
		l := listen(t)
		go func() {
			_ = serving.Serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
		}()
		fn(t, func(header ...string) *client {
			c := plain(l.Addr().String())(header...)
			return wrap(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
		})
	})
	stopped(t, serving)
}

// wantAddress has the App tell an address by every kind of request on a connection.
func wantAddress(t *testing.T, want string, connect func() *client) {
	t.Helper()
	greeting := strings.TrimSpace(strings.Repeat(want+" ", 4))
	for _, path := range []string{"/ws", "/later", "/manual"} {
		c := connect()
		c.raw(upgradeHead(path) + sent(ws.OpText, "ahead"))
		c.wantStatus(101)
		c.wantText(greeting)
		c.wantText("ahead")
		_ = c.Close()
	}
	c := connect()
	for range 2 {
		c.raw(request("GET", "/who", ""))
		if status, _, body := c.response(); status != 200 || body != want {
			t.Fatalf("%d %q, want %q", status, body, want)
		}
	}
	c.raw(upgradeHead("/ws")) // behind requests
	c.wantStatus(101)
	c.wantText(greeting)
	_ = c.Close()
}

// The header's address is the connection's own, however the connection comes in, and
// wherever it is asked for.
func TestProxyHeader(t *testing.T) {
	p := newProxied(engine.Options{Loops: 2})
	transports(t, p.App, func(t *testing.T, connect func(...string) *client) {
		for _, header := range []string{tells(far), tellsTLS, line} {
			wantAddress(t, far, func() *client { return connect(header) })
		}
		wantAddress(t, "[2001:db8::1]:65535", func() *client { return connect(tells("[2001:db8::1]:65535")) })
		for _, local := range []string{tells(""), "PROXY UNKNOWN\r\n", tells("")[:12] + "\x21\x31\x00\xd8" + strings.Repeat("/", 216)} {
			c := connect(local)
			c.raw(request("GET", "/who", ""))
			if status, _, body := c.response(); status != 200 || body != c.LocalAddr().String() {
				t.Errorf("a header that tells no address: %d %q, want %v", status, body, c.LocalAddr())
			}
			_ = c.Close()
		}
	})
}

// wantTLS has the App tell by every kind of request whether the client came by TLS.
func wantTLS(t *testing.T, want bool, connect func() *client) {
	t.Helper()
	told := func(c *client, head string, status int) {
		t.Helper()
		c.raw(head)
		if got, header, _ := c.response(); got != status || header.Get("X-TLS") != fmt.Sprint(want) {
			t.Errorf("%q: %d, TLS: %q, want %v", head, got, header.Get("X-TLS"), want)
		}
	}
	for _, path := range []string{"/ws", "/later", "/manual"} {
		c := connect()
		told(c, upgradeHead(path), 101)
		_ = c.Close()
	}
	c := connect()
	for range 2 {
		told(c, request("GET", "/who", ""), 200)
	}
	told(c, upgradeHead("/ws"), 101) // behind requests
	_ = c.Close()
}

// A client that came to the proxy by TLS is one of TLS, however the connection comes in.
func TestProxyHeaderTellsOfTLS(t *testing.T) {
	p := newProxied(engine.Options{Loops: 2})
	transports(t, p.App, func(t *testing.T, connect func(...string) *client) {
		encrypted := strings.HasSuffix(t.Name(), "TLS/TLS")
		wantTLS(t, true, func() *client { return connect(tellsTLS) })
		for _, header := range []string{tells(far), tells(""), line} {
			wantTLS(t, encrypted, func() *client { return connect(header) })
		}
	})
}

func TestProxyHeaderSplitAtEveryByte(t *testing.T) {
	p := newProxied(engine.Options{Loops: 1, HandshakeTimeout: 4 * patience}) // each byte waits for the one before
	l := listen(t)
	serveOn(t, p.App, l)
	received := func() uint64 {
		s := snapshot(t, p.App)
		return s.Total().BytesIn
	}
	for name, header := range map[string]string{"version 1": line, "version 2": tellsTLS} {
		t.Run(name, func(t *testing.T) { splitEverywhere(t, header, l.Addr().String(), received) })
	}
}

// splitEverywhere sends a header and a request in two pieces, of every size, and byte by
// byte. received is what the App has read so far.
func splitEverywhere(t *testing.T, header, addr string, received func() uint64) {
	all := header + upgradeHead("/ws") + sent(ws.OpText, "one")
	want := func(c *client) {
		t.Helper()
		c.wantStatus(101)
		c.wantText(strings.TrimSpace(strings.Repeat(far+" ", 4)))
		c.wantText("one")
		_ = c.Close()
	}
	for i := 1; i < len(all); i++ {
		before := received()
		c := knock(t, addr, all[:i])
		testkit.Eventually(t, func() bool { return received() == before+uint64(i) }, patience)
		c.raw(all[i:])
		want(c)
	}
	before := received()
	c := knock(t, addr, "")
	for i := range len(all) {
		c.raw(all[i : i+1])
		testkit.Eventually(t, func() bool { return received() == before+uint64(i)+1 }, patience)
	}
	want(c)
}

// Before TLS the header is read as it comes, and no byte of what follows.
func TestProxyHeaderInPiecesBeforeTLS(t *testing.T) {
	p := newProxied(engine.Options{Loops: 1})
	l := listen(t)
	serveOn(t, p.App, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	const longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"
	const unknown = "PROXY UNKNOWN\r\n"
	for header, want := range map[string]string{
		tellsTLS: far, line: far, longest: "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", unknown: "", tells(""): "",
	} {
		for i := range len(header) + 1 {
			c := knock(t, l.Addr().String(), header[:i])
			c.raw(header[i:])
			c = wrap(t, tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}))
			c.raw(request("GET", "/who", ""))
			address := want
			if want == "" {
				address = c.LocalAddr().String()
			}
			if status, _, body := c.response(); status != 200 || body != address {
				t.Fatalf("%q, cut at %d: %d %q", header, i, status, body)
			}
			_ = c.Close()
		}
	}
}

// Whoever is to send a header and does not is refused.
func TestProxyHeaderRefused(t *testing.T) {
	p := newProxied(engine.Options{Loops: 1})
	stopped(t, p.App)
	l, secured := listen(t), listen(t)
	go func() { _ = p.Serve(l) }()
	go func() {
		_ = p.Serve(tls.NewListener(secured, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	}()
	checksum := tells(far)
	checksum = checksum[:15] + "\x13" + checksum[16:] + "\x03\x00\x04\xff\xff\xff\xff"
	for text, bytes := range map[string]string{
		proxyproto.ErrMissing.Error():  request("GET", "/who", ""),
		proxyproto.ErrLine.Error():     "PROXY TCP5 192.0.2.1 203.0.113.7 4444 443\r\n" + request("GET", "/who", ""),
		proxyproto.ErrChecksum.Error(): checksum + request("GET", "/who", ""),
		proxyproto.ErrTooLong.Error():  tells("")[:12] + "\x21\x11\xff\xff",
		proxyproto.ErrShort.Error():    tells("")[:12] + "\x21\x11\x00\x05",
		proxyproto.ErrFamily.Error():   tells("")[:12] + "\x21\x55\x00\x00",
	} {
		c := knock(t, l.Addr().String(), bytes)
		if status, _, body := c.response(); status != 400 || body != text+"\n" && body != text {
			t.Errorf("%q: %d %q, want 400 %q", bytes, status, body, text)
		}
		if r := receive(t, p.refused); r.Cause != engine.RefusedRequest || r.Answer != 400 || r.Text != text || r.Remote.String() != c.LocalAddr().String() {
			t.Errorf("%q: %+v", bytes, r)
		}
		_ = c.Close()
		// Before TLS there is nobody to tell it to.
		c = knock(t, secured.Addr().String(), bytes)
		if r := receive(t, p.refused); r.Cause != engine.RefusedRequest || r.Answer != 0 || r.Text != text || r.Remote.String() != c.LocalAddr().String() {
			t.Errorf("%q before TLS: %+v", bytes, r)
		}
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q before TLS is answered", bytes)
		}
		_ = c.Close()
	}
	wantReleased(t, p.App)
}

// The time for the header counts from accepting on.
func TestProxyHeaderThatIsSlow(t *testing.T) {
	t.Parallel()
	p := newProxied(engine.Options{Loops: 1, HandshakeTimeout: time.Second})
	stopped(t, p.App)
	l, secured := listen(t), listen(t)
	go func() { _ = p.Serve(l) }()
	go func() {
		_ = p.Serve(tls.NewListener(secured, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}))
	}()
	const late = "the PROXY header took too long"
	begun, behind := knock(t, l.Addr().String(), tells(far)[:20]), knock(t, l.Addr().String(), tells(far)+"GET /who")
	silent, cut := knock(t, l.Addr().String(), ""), knock(t, secured.Addr().String(), tells(far)[:20])
	cutLine := knock(t, secured.Addr().String(), line[:30])
	silentTLS := knock(t, secured.Addr().String(), "")

	// A long one, a few bytes at a time.
	drip := knock(t, l.Addr().String(), tells("")[:12]+"\x20\x00\x10\x00")
	dripped := make(chan struct{})
	go func() {
		defer close(dripped)
		for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
			if _, err := drip.Write([]byte{0}); err != nil {
				return
			}
		}
	}()
	for _, c := range []*client{begun, drip} {
		if status, _, body := c.response(); status != 408 || !strings.HasPrefix(body, late) {
			t.Errorf("%d %q", status, body)
		}
		_ = c.Close()
	}
	<-dripped
	if status, _, body := behind.response(); status != 408 || strings.HasPrefix(body, late) {
		t.Errorf("a request that is late: %d %q", status, body)
	}
	silent.wantEOF()
	cut.wantEOF()
	cutLine.wantEOF()
	silentTLS.wantEOF()
	texts := map[string]int{}
	for range 5 { // who says nothing is not worth a word
		texts[receive(t, p.refused).Text]++
	}
	if texts[late] != 4 || len(p.refused) != 0 {
		t.Errorf("%v, and %d more", texts, len(p.refused))
	}
	_ = behind.Close()
	wantReleased(t, p.App)
}

// A header of a peer that is not trusted is never believed; without one it is served
// with its own address.
func TestProxyHeaderOfAStranger(t *testing.T) {
	p := newProxied(engine.Options{Loops: 2})
	p.stranger.Store(true)
	transports(t, p.App, func(t *testing.T, connect func(...string) *client) {
		c := connect()
		c.raw(request("GET", "/who", ""))
		if status, _, body := c.response(); status != 200 || body != c.LocalAddr().String() {
			t.Errorf("%d %q, want %v", status, body, c.LocalAddr())
		}
		_ = c.Close()
		encrypted := strings.HasSuffix(t.Name(), "TLS")
		for i := range len(tells(far)) + len(line) {
			header, i := tells(far), i
			if i >= len(header) {
				header, i = line, i-len(header)
			}
			c := connect(header[:i], header[i:])
			if encrypted { // it is no handshake of TLS
				if err := c.Conn.(*tls.Conn).Handshake(); err == nil {
					t.Fatal("a header was read")
				}
				break
			}
			if status, _, body := c.response(); status != 400 || !strings.Contains(body, "not trusted") {
				t.Fatalf("cut at %d: %d %q", i, status, body)
			}
			if r := receive(t, p.refused); r.Cause != engine.RefusedRequest || r.Remote.String() != c.LocalAddr().String() {
				t.Fatalf("cut at %d: %+v", i, r)
			}
			_ = c.Close()
		}
		if encrypted {
			return
		}
		// What only begins alike is a bad request like any other.
		c = connect("\r\n\r", "\nGET /who")
		if status, _, body := c.response(); status != 400 || strings.Contains(body, "PROXY") {
			t.Errorf("%d %q", status, body)
		}
		_ = c.Close()
		// So does a request.
		c = connect("P", "OST /who HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if status, _, body := c.response(); status != 200 {
			t.Errorf("%d %q", status, body)
		}
		_ = c.Close()
	})
}

// A connection that another App takes over keeps the address.
func TestProxyHeaderHandedOff(t *testing.T) {
	back := newProxied(engine.Options{Loops: 2})
	serve(t, back.App)
	back.stranger.Store(true) // believed all the same
	give := func(nc net.Conn, data []byte) { _ = back.Adopt(nc, data) }
	front := engine.New(engine.Options{Loops: 1, Logger: quiet(), ProxyHeader: func(netip.Addr) bool { return true }})
	front.WS("/*", engine.Behavior{Upgrade: func(u *engine.Handshake) { _ = u.Detach(give) }})
	front.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, data, err := engine.Detach(w, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		give(nc, data)
	}))
	transports(t, front, func(t *testing.T, connect func(...string) *client) {
		for _, header := range []string{tells(far), tellsTLS, line} {
			wantAddress(t, far, func() *client { return connect(header) })
		}
		encrypted := strings.HasSuffix(t.Name(), "Off/TLS")
		wantTLS(t, true, func() *client { return connect(tellsTLS) })
		wantTLS(t, encrypted, func() *client { return connect(line) })
		c := connect(tells(""))
		c.raw(request("GET", "/who", ""))
		if status, _, body := c.response(); status != 200 || body != c.LocalAddr().String() {
			t.Errorf("%d %q", status, body)
		}
		_ = c.Close()
	})
	for name, x := range map[string]struct{ read, rest string }{
		"nothing read yet":          {"", tells(far) + request("GET", "/who", "")},
		"by somebody who adds none": {request("GET", "/who", ""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			back.stranger.Store(false)
			l := listen(t)
			defer l.Close()
			c := knock(t, l.Addr().String(), x.rest)
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := back.Adopt(nc, []byte(x.read)); err != nil {
				t.Fatal(err)
			}
			want := far
			if x.rest == "" {
				want = c.LocalAddr().String()
			}
			if status, _, body := c.response(); status != 200 || body != want {
				t.Errorf("%d %q, want %q", status, body, want)
			}
		})
	}
}
