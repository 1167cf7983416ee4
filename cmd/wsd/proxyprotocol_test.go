package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/gobwas/ws"
)

// headed is a connection of a proxy that sends its header with the first bytes of its
// client, as the answer to a header that is refused comes at once: http.Client takes what
// arrives before its request for nobody's.
type headed struct {
	net.Conn
	header []byte
}

func (h *headed) Write(p []byte) (int, error) {
	if h.header == nil {
		return h.Conn.Write(p)
	}
	first := append(h.header, p...)
	n, err := h.Conn.Write(first)
	n = max(0, n-len(h.header))
	h.header = nil
	return n, err
}

// proxied connects to the server as a proxy does that speaks for source; "" is the
// proxy itself.
func (r *running) proxied(source string) net.Conn {
	r.t.Helper()
	from := proxyproto.Header{}
	if source != "" {
		from.Source = netip.AddrPortFrom(netip.MustParseAddr(source), 4444)
	}
	return r.headed(proxyproto.Append(nil, from))
}

// headed connects to the server with a header.
func (r *running) headed(header []byte) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return &headed{Conn: conn, header: header}
}

// tryFrom is try for a client behind a proxy: the status, and the body of an answer
// that is none of WebSocket's.
func (r *running) tryFrom(source string, a attempt) (status int, body string) {
	r.t.Helper()
	conn := r.proxied(source)
	if !strings.Contains(a.target, "websocket") && strings.HasPrefix(a.target, "/socket.io") || a.target == "/health" {
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
		req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+a.target, nil)
		req.Header = a.header
		res, err := client.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	header := a.header.Clone()
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	if offers := header.Get("Sec-WebSocket-Protocol"); offers != "" {
		d.Protocols = []string{offers}
		header.Del("Sec-WebSocket-Protocol")
	}
	d.Header = ws.HandshakeHeaderHTTP(header)
	_, _, _, err := d.Dial(r.t.Context(), "ws://"+r.addr+a.target)
	return handshakeStatus(err), ""
}

// The address that a trusted proxy's header tells counts for limits and in logs, on
// every path; what such a client says of others counts if it is a proxy itself.
func TestProxyProtocol(t *testing.T) {
	r, log := serveLogging(t, "--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--trusted-proxies", "198.51.100.0/24",
		"--max-connections-per-ip", "1")
	const first = "192.0.2.1"
	if status, _ := r.tryFrom(first, attempt{target: "/echo"}); status != 101 {
		t.Fatalf("status %d", status)
	}
	testkit.Eventually(t, func() bool { return r.server.connections() == 1 }, patience)
	if _, list := r.askAdmin(http.MethodGet, "/v1/connections", ""); !strings.Contains(list, `"remote":"`+first) {
		t.Errorf("%s is not in the list: %s", first, list)
	}
	for i, a := range everyPath {
		if status, _ := r.tryFrom(first, a); status != http.StatusTooManyRequests {
			t.Errorf("%s: a second connection: %d", a.target, status)
		}
		if strings.Count(log.String(), `"remote":"`+first+`"`) < i+1 {
			t.Errorf("%s: no line of %s:\n%s", a.target, first, log)
		}
		// Another proxy stands in front of this one, for the same client.
		a.header = maps.Clone(a.header)
		if a.header == nil {
			a.header = http.Header{}
		}
		a.header.Set("X-Forwarded-For", first)
		if status, _ := r.tryFrom("198.51.100.1", a); status != http.StatusTooManyRequests {
			t.Errorf("%s: behind two proxies: %d", a.target, status)
		}
		// From a client the field means nothing, and the proxy's own address neither.
		status, body := r.tryFrom(fmt.Sprintf("203.0.113.%d", i+1), a)
		if status != 101 && status != 200 {
			t.Errorf("%s: another client: %d", a.target, status)
		}
		if sid := sidOf(body); sid != "" {
			r.end(sid)
		}
	}
	for _, source := range []string{first, ""} {
		if status, body := r.tryFrom(source, attempt{target: "/health"}); status != 200 {
			t.Errorf("/health for %q: %d %s", source, status, body)
		}
	}
}

// end closes a session that polls, through the proxy.
func (r *running) end(sid string) {
	r.t.Helper()
	conn := r.proxied("203.0.113.250")
	_, err := fmt.Fprintf(conn, "POST %s&sid=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1", sioPolling, sid)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn)
}

// A trusted proxy has to send a header; from anybody else none is taken. Either way the
// client is refused, counted, and the log says why.
func TestProxyProtocolMistakes(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		proxy, why := "127.0.0.1", "a PROXY header is missing"
		if !trusted {
			proxy, why = "192.0.2.0/24", "a PROXY header of a peer that is not trusted"
		}
		r, log := serveLogging(t, "--proxy-protocol", "--trusted-proxies", proxy)
		ask := func(header bool) int {
			if header {
				status, _ := r.tryFrom("192.0.2.1", attempt{target: "/health"})
				return status
			}
			status, _ := r.get("/health")
			return status
		}
		if status := ask(trusted); status != 200 {
			t.Errorf("trusted %v: %d", trusted, status)
		}
		if status := ask(!trusted); status != 400 {
			t.Errorf("trusted %v: %d", trusted, status)
		}
		if n := r.metric(rejected(reasonBadRequest)); n != 1 {
			t.Errorf("trusted %v: %v refusals", trusted, n)
		}
		if !strings.Contains(log.String(), why) || !strings.Contains(log.String(), `"remote":"127.0.0.1"`) {
			t.Errorf("trusted %v: %s", trusted, log)
		}
	}
}

// Where the header says that the client came to the proxy by TLS, the affinity cookie is
// Secure, and links say https. What a proxy of HTTP in front of that one says counts
// above it. Both versions are understood.
func TestProxyProtocolTellsOfTLS(t *testing.T) {
	r := serve(t, "--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--trusted-proxies", "198.51.100.1")
	v2 := func(source string, byTLS bool) []byte {
		return proxyproto.Append(nil, proxyproto.Header{Source: netip.MustParseAddrPort(source), TLS: byTLS})
	}
	for _, tt := range []struct {
		name   string
		header []byte
		proto  string
		secure bool
	}{
		{"by TLS", v2("192.0.2.1:4444", true), "", true},
		{"without", v2("192.0.2.1:4444", false), "", false},
		{"version 1", []byte("PROXY TCP4 192.0.2.1 203.0.113.7 4444 443\r\n"), "", false},
		{"a client that claims it", v2("192.0.2.1:4444", false), "https", false},
		{"another proxy, by TLS", v2("198.51.100.1:4444", true), "", true},
		{"another proxy that had a client without", v2("198.51.100.1:4444", true), "http", false},
		{"another proxy that had a client by TLS", v2("198.51.100.1:4444", false), "https", true},
	} {
		ask := func(path string) (*http.Response, string) {
			conn := r.headed(tt.header)
			client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
				DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
			req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.addr+path, nil)
			if tt.proto != "" {
				req.Header.Set("X-Forwarded-Proto", tt.proto)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s, %v", tt.name, res.StatusCode, b, err)
			}
			return res, string(b)
		}
		res, body := ask(sioPolling)
		r.end(sidOf(body))
		if all := res.Cookies(); len(all) != 1 || all[0].Secure != tt.secure {
			t.Errorf("%s: %v, want secure %v", tt.name, all, tt.secure)
		}
		if _, page := ask("/"); strings.Contains(page, "wss://"+r.addr) != tt.secure || strings.Contains(page, "ws://"+r.addr) == tt.secure {
			t.Errorf("%s, want secure %v: %s", tt.name, tt.secure, page)
		}
	}
}

func TestProxyProtocolNeedsProxies(t *testing.T) {
	err := parse(t, "serve", "--proxy-protocol").Serve.check()
	testkit.ErrorHas(t, err, "--proxy-protocol", "--trusted-proxies")
	if exitCode(err) != exitUsage {
		t.Errorf("exit code %d", exitCode(err))
	}
}

// Which proxies are trusted is taken by a reload, whether they send headers is not.
func TestReloadProxyProtocol(t *testing.T) {
	f := newFile(t, "proxy-protocol: true\ntrusted-proxies: [127.0.0.1]\n")
	r := serve(t, "--config", f.name)
	want := func(status int) {
		t.Helper()
		if got, body := r.tryFrom("192.0.2.1", attempt{target: "/health"}); got != status {
			t.Errorf("%d %s, want %d", got, body, status)
		}
	}
	want(200)
	f.write("proxy-protocol: true\ntrusted-proxies: [192.0.2.0/24]\n")
	r.mustReload("")
	want(400)
	f.write("proxy-protocol: false\ntrusted-proxies: [127.0.0.1]\n")
	r.mustReload("")
	want(200) // as before: it needs a restart
	f.write("proxy-protocol: true\n")
	r.mustReload("--trusted-proxies")
	want(200)
}
