package daemon

import (
	"crypto/tls"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/balancer"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// dialFrom connects from one of this machine's loopback addresses.
func dialFrom(t *testing.T, source, address string) *rawws.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: patience}
	nc, err := d.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return rawws.New(nc)
}

// Behind HAProxy in TCP mode, with the file of deploy, clients have their own addresses,
// stay on their server by them, and are limited by them; HAProxy's checks are answered.
func TestProxyProtocolBehindHAProxy(t *testing.T) {
	var nodes []*wsdproc.Process
	var addresses []string
	for i := range servers {
		n := wsdproc.Start(t, "serve", "--server-id", fmt.Sprintf("ws%d", i+1), "--proxy-protocol", "--trusted-proxies", "127.0.0.1",
			"--max-connections-per-ip", "2", "--drain-lb-wait", "0s", "--drain-window", "0s")
		nodes, addresses = append(nodes, n), append(addresses, n.Addr)
	}
	stats := filepath.Join(t.TempDir(), "stats")
	proxy := balancer.HAProxyTCP.Start(t, addresses,
		[2]string{"hard-stop-after 60s", "hard-stop-after 60s\n\tstats socket " + stats},
		[2]string{"check inter 2s", "check inter 300ms"})

	greet := func(source string) *rawws.Conn {
		t.Helper()
		c := dialFrom(t, source, proxy)
		if err := c.Upgrade("/echo", ""); err != nil {
			t.Fatal(err)
		}
		sayHello(t, c)
		return c
	}
	greet("127.0.0.5")
	greet("127.0.0.5")
	third := dialFrom(t, "127.0.0.5", proxy)
	if err := third.Upgrade("/echo", ""); err == nil || third.Response == nil || third.Response.Status != http.StatusTooManyRequests {
		t.Errorf("a third connection of an address: %v, %+v", err, third.Response)
	}
	greet("127.0.0.6")
	remote := regexp.MustCompile(`"remote":"([^"]+):\d+"`)
	seen, at := map[string]int{}, map[string]map[int]bool{}
	for i, n := range nodes {
		_, list := get(t, n.Admin, "/v1/connections")
		for _, m := range remote.FindAllStringSubmatch(list, -1) {
			seen[m[1]]++
			if at[m[1]] == nil {
				at[m[1]] = map[int]bool{}
			}
			at[m[1]][i] = true
		}
	}
	if seen["127.0.0.5"] != 2 || seen["127.0.0.6"] != 1 || len(seen) != 2 || len(at["127.0.0.5"]) != 1 {
		t.Errorf("connections by address %v, on servers %v", seen, at)
	}

	sid := openSession(t, dialFrom(t, "127.0.0.7", proxy))
	if r := exchange(t, dialFrom(t, "127.0.0.7", proxy), "POST", sioPolling+"&sid="+sid, "40"); r.Status != http.StatusOK {
		t.Errorf("the session is not where it was: %d %s", r.Status, r.Body)
	}
	testkit.Eventually(t, func() bool { return strings.Join(checks(t, stats), " ") == "L7OK L7OK L7OK" }, patience)

	// Past the balancer: from its address there has to be a header, from others none.
	for source, status := range map[string]int{"127.0.0.1": http.StatusBadRequest, "127.0.0.9": http.StatusOK} {
		if r := exchange(t, dialFrom(t, source, addresses[0]), "GET", "/health", ""); r.Status != status {
			t.Errorf("from %s: %d %s, want %d", source, r.Status, r.Body, status)
		}
	}
}

// joinFiles writes the contents of files to another one.
func joinFiles(t *testing.T, to string, from ...string) {
	t.Helper()
	var all []byte
	for _, name := range from {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	if err := os.WriteFile(to, all, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Whatever HAProxy adds to its header is understood: the version, a checksum, that the
// client came by TLS, what wsd has no use for. Its checks succeed with each, and also
// where it passes on a client's TLS.
func TestProxyProtocolKindsOfHAProxy(t *testing.T) {
	const ofDeploy = "send-proxy-v2 proxy-v2-options ssl,crc32c check-send-proxy"
	dir := t.TempDir()
	cert, key, pem := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "both")
	roots := writeCertificate(t, cert, key, 1)
	joinFiles(t, pem, cert, key) // as HAProxy reads them
	for _, tt := range []struct {
		name, header   string
		ends, passesOn bool // TLS
		secure         bool // the cookie
	}{
		{"as deployed", ofDeploy, false, false, false},
		{"TLS", ofDeploy, true, false, true},
		{"TLS and nothing else", "send-proxy-v2-ssl check-send-proxy", true, false, true},
		{"everything", "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id check-send-proxy", true, false, true},
		{"TLS that is not told", "send-proxy-v2 check-send-proxy", true, false, false},
		{"version 1", "send-proxy check-send-proxy", false, false, false},
		{"version 1 behind TLS", "send-proxy check-send-proxy", true, false, false},
		{"TLS of the servers", ofDeploy + " check-ssl verify none", false, true, true},
		{"version 1 before TLS", "send-proxy check-send-proxy check-ssl verify none", false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"serve", "--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--drain-lb-wait", "0s", "--drain-window", "0s"}
			if tt.passesOn {
				args = append(args, "--tls-cert", cert, "--tls-key", key)
			}
			var nodes []*wsdproc.Process
			var addresses []string
			for range servers {
				n := wsdproc.Start(t, args...)
				nodes, addresses = append(nodes, n), append(addresses, n.Addr)
			}
			stats := filepath.Join(t.TempDir(), "stats")
			change := [][2]string{
				{"hard-stop-after 60s", "hard-stop-after 60s\n\tstats socket " + stats},
				{"check inter 2s", "check inter 300ms"},
				{"frontend socketio", "frontend socketio\n\tunique-id-format %ID-%pid-%rt-%ci"},
				{ofDeploy, tt.header},
			}
			if tt.ends {
				change = append(change, [2]string{"\n\tdefault_backend", " ssl crt " + pem + " alpn http/1.1\n\tdefault_backend"})
			}
			proxy := balancer.HAProxyTCP.Start(t, addresses, change...)
			const source = "127.0.0.5"
			connect := func() *rawws.Conn {
				c := dialFrom(t, source, proxy)
				if tt.ends || tt.passesOn {
					c = rawws.New(tls.Client(c.Conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}))
				}
				return c
			}
			c := connect()
			if err := c.Upgrade("/echo", ""); err != nil {
				t.Fatal(err)
			}
			sayHello(t, c)
			seen := 0
			for _, n := range nodes {
				_, list := get(t, n.Admin, "/v1/connections")
				seen += strings.Count(list, `"remote":"`+source+":")
			}
			if seen != 1 {
				t.Errorf("%d connections of %s", seen, source)
			}
			r := exchange(t, connect(), "GET", sioPolling, "")
			if cookie := r.Header.Get("Set-Cookie"); r.Status != http.StatusOK || strings.Contains(cookie, "; Secure") != tt.secure {
				t.Errorf("%d, cookie %q, want Secure %v", r.Status, cookie, tt.secure)
			}
			testkit.Eventually(t, func() bool { return strings.Join(checks(t, stats), " ") == "L7OK L7OK L7OK" }, patience)
		})
	}
}

// checks are what HAProxy's checks of the servers have come to, at its statistics
// socket.
func checks(t *testing.T, socket string) (all []string) {
	t.Helper()
	nc, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, "show stat\n"); err != nil {
		t.Fatal(err)
	}
	rows := csv.NewReader(nc)
	rows.FieldsPerRecord = -1
	table, err := rows.ReadAll()
	if err != nil || len(table) == 0 {
		t.Fatal(err)
	}
	for _, row := range table[1:] {
		for i, name := range table[0] {
			if name == "check_status" && i < len(row) && strings.HasPrefix(row[1], "ws") {
				all = append(all, row[i])
			}
		}
	}
	return all
}

// A connection that one worker passes on to another keeps the address that its header
// told, and that its client came by TLS: the session that it opens there knows both.
func TestProxyProtocolBetweenWorkers(t *testing.T) {
	const each = 4
	p := startWorkers(t, "--proxy-protocol", "--trusted-proxies", "127.0.0.1")
	next := byte(0)
	connect := func() *rawws.Conn {
		t.Helper()
		next++
		c := dialRaw(t, p.Addr)
		if err := c.Send(proxyproto.Append(nil, proxyproto.Header{
			Source: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, next}), 4444),
			TLS:    next%2 == 0,
		})); err != nil {
			t.Fatal(err)
		}
		return c
	}
	sid := openSession(t, connect())
	for range workerCount * each {
		c := connect()
		if r := exchange(t, c, "POST", sioPolling+"&sid="+sid, "3"); r.Status != http.StatusOK {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		r := exchange(t, c, "GET", sioPolling, "")
		if other := sidIn(t, r); other[:engineio.PrefixLen] != sid[:engineio.PrefixLen] {
			t.Fatalf("the connection is at %s, want %s", other, sid)
		}
		if cookie := r.Header.Get("Set-Cookie"); strings.Contains(cookie, "; Secure") != (next%2 == 0) {
			t.Fatalf("client %d has cookie %q", next, cookie)
		}
	}
	if n := metric(t, p, `wsd_worker_handovers_total{result="ok"}`); n == 0 {
		t.Error("no worker has passed anything on")
	}
	_, list := get(t, p.Admin, "/v1/connections?limit=100")
	for i := byte(1); i <= next; i++ {
		if want := fmt.Sprintf(`"remote":"192.0.2.%d:4444"`, i); strings.Count(list, want) != 1 {
			t.Errorf("%d of %s in %s", strings.Count(list, want), want, list)
		}
	}
}
