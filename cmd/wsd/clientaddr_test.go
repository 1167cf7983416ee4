package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestCaller(t *testing.T) {
	type fields = map[string][]string
	far := func(v ...string) fields { return fields{"X-Forwarded-For": v} }
	forwarded := func(v ...string) fields { return fields{"Forwarded": v} }
	tests := []struct {
		name   string
		header string
		peer   string
		fields fields
		addr   string
		secure bool
	}{
		{"no proxy", "", "192.0.2.9", nil, "192.0.2.9", false},
		{"spoofed by a client", "", "192.0.2.9", far("127.0.0.1"), "192.0.2.9", false},
		{"scheme spoofed by a client", "", "192.0.2.9", fields{"X-Forwarded-Proto": {"https"}}, "192.0.2.9", false},
		{"a proxy", "", "10.0.0.1", far("192.0.2.1"), "192.0.2.1", false},
		{"a proxy, as IPv6", "", "::ffff:10.0.0.1", far("192.0.2.1"), "192.0.2.1", false},
		{"a proxy that says nothing", "", "10.0.0.1", nil, "10.0.0.1", false},
		{"what the client wrote in front", "", "10.0.0.1", far("127.0.0.1, 198.51.100.7, 192.0.2.1"), "192.0.2.1", false},
		{"what the client wrote in a field of its own", "", "10.0.0.1", far("127.0.0.1", "192.0.2.1"), "192.0.2.1", false},
		{"two proxies", "", "10.0.0.1", far("192.0.2.1, 10.9.9.9"), "192.0.2.1", false},
		{"a proxy's name in front", "", "10.0.0.1", far("10.1.1.1, 192.0.2.1, 10.9.9.9"), "192.0.2.1", false},
		{"proxies only", "", "10.0.0.1", far("10.1.1.1, 10.2.2.2"), "10.1.1.1", false},
		{"rubbish", "", "10.0.0.1", far("192.0.2.1, rubbish"), "10.0.0.1", false},
		{"rubbish behind a proxy", "", "10.0.0.1", far("192.0.2.1, rubbish, 10.2.2.2"), "10.2.2.2", false},
		{"empty items", "", "10.0.0.1", far("192.0.2.1,,"), "10.0.0.1", false},
		{"a port", "", "10.0.0.1", far("192.0.2.1:4711"), "192.0.2.1", false},
		{"IPv6", "", "2001:db8::1", far("2001:db8:ffff::7"), "2001:db8:ffff::7", false},
		{"IPv6 with a port", "", "10.0.0.1", far("[2001:db8:ffff::7]:80"), "2001:db8:ffff::7", false},
		{"IPv6 in brackets", "", "10.0.0.1", far("[2001:db8:ffff::7]"), "2001:db8:ffff::7", false},
		{"IPv4 as IPv6", "", "10.0.0.1", far("::ffff:192.0.2.1"), "192.0.2.1", false},
		{"https", "", "10.0.0.1", fields{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}, "192.0.2.1", true},
		{"the proxy's scheme counts", "", "10.0.0.1", fields{"X-Forwarded-Proto": {"https, http"}}, "10.0.0.1", false},
		{"the other header", "", "10.0.0.1", forwarded("for=192.0.2.1"), "10.0.0.1", false},
		{"Forwarded", "forwarded", "10.0.0.1", forwarded(`for=192.0.2.1;proto=https;by=10.0.0.1`), "192.0.2.1", true},
		{"Forwarded, quoted", "forwarded", "10.0.0.1", forwarded(`For="[2001:db8:ffff::7]:80"`), "2001:db8:ffff::7", false},
		{"Forwarded, a chain", "forwarded", "10.0.0.1", forwarded(`for=127.0.0.1, for=192.0.2.1;proto=http`, `for=10.2.2.2;proto=https`), "192.0.2.1", false},
		{"Forwarded, hidden", "forwarded", "10.0.0.1", forwarded("for=192.0.2.1, for=_secret"), "10.0.0.1", false},
		{"Forwarded beside what a client wrote", "forwarded", "10.0.0.1", fields{"X-Forwarded-For": {"127.0.0.1"}, "Forwarded": {"for=192.0.2.1"}}, "192.0.2.1", false},
		{"more hops than are looked at", "", "10.0.0.1", far(strings.Repeat("10.0.0.2,", 10_000) + "10.0.0.3"), "10.0.0.2", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := parseProxies([]string{"10.0.0.0/8", "2001:db8::1"}, tt.header)
			if err != nil {
				t.Fatal(err)
			}
			got := p.caller(netip.MustParseAddr(tt.peer), false, func(name string) []string { return tt.fields[name] })
			if got.text() != tt.addr || got.secure != tt.secure {
				t.Errorf("%+v, want %s, %v", got, tt.addr, tt.secure)
			}
		})
	}
	p, _ := parseProxies([]string{"0.0.0.0/0"}, "")
	if got := p.caller(netip.Addr{}, true, nil); got.addr.IsValid() || !got.secure {
		t.Errorf("a peer without an address: %+v", got)
	}
}

// A client behind a trusted proxy is limited by its own address, and one that is not
// can't pass for somebody else, on every path.
func TestAddressOnEveryPath(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		args := []string{"--max-connections-per-ip", "1"}
		if trusted {
			args = append(args, "--trusted-proxies", "127.0.0.0/8")
		}
		r, log := serveLogging(t, args...)
		from := func(ip string) http.Header { return http.Header{"X-Forwarded-For": {ip}} }
		hold := r.dial("/echo", from("2001:db8::1"))
		hold.send(ws.OpText, "in")
		hold.expect(ws.OpText, "in")
		for i, a := range everyPath {
			refused := func(ip string) bool {
				header := from(ip)
				maps.Copy(header, a.header)
				if strings.Contains(a.target, "polling") {
					resp, body := r.fetch(http.MethodGet, a.target, header)
					if resp.StatusCode == http.StatusOK {
						r.hangUp(body)
					}
					return resp.StatusCode == http.StatusTooManyRequests
				}
				c, err := dial("ws://"+r.addr+a.target, header)
				if err == nil {
					t.Cleanup(func() { c.conn.Close() })
				}
				return status(err) == http.StatusTooManyRequests
			}
			if !refused("2001:db8::2") { // of the same /64
				t.Errorf("%s, trusted %v: a second connection of a /64", a.target, trusted)
			}
			want := `"remote":"127.0.0.1"`
			if trusted {
				want = `"remote":"2001:db8::2"`
			}
			if strings.Count(log.String(), want) < i+1 {
				t.Errorf("%s, trusted %v: no %s in the log:\n%s", a.target, trusted, want, log)
			}
			if refused(fmt.Sprintf("2001:db8:0:%d::1", i+1)) == trusted {
				t.Errorf("%s, trusted %v: another site", a.target, trusted)
			}
		}
	}
}

// hangUp ends the session whose open packet is body, so that nothing waits for its
// client at the end.
func (r *running) hangUp(body string) {
	r.t.Helper()
	r.post(sidOf(body), "1")
}

// sidOf is the session of an open packet.
func sidOf(body string) string {
	sid, _, _ := strings.Cut(strings.TrimPrefix(body, `0{"sid":"`), `"`)
	return sid
}

// post sends a payload of a session that polls.
func (r *running) post(sid, payload string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Post("http://"+r.addr+sioPolling+"&sid="+sid, "text/plain", strings.NewReader(payload))
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
}

// The affinity cookie is Secure where the proxy that is trusted says https.
func TestSecureCookieBehindAProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		args := []string{}
		if trusted {
			args = append(args, "--trusted-proxies", "127.0.0.1")
		}
		r := serve(t, args...)
		for proto, secure := range map[string]bool{"https": trusted, "http": false} {
			resp, body := r.fetch(http.MethodGet, sioPolling, http.Header{"X-Forwarded-Proto": {proto}})
			r.hangUp(body)
			for _, c := range resp.Cookies() {
				if c.Secure != secure {
					t.Errorf("trusted %v, %s: %v", trusted, proto, c)
				}
			}
			if len(resp.Cookies()) == 0 {
				t.Error("no cookie")
			}
		}
	}
}
