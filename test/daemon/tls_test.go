package daemon

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// writeCertificate makes one for the loopback interface that signs itself.
func writeCertificate(t *testing.T, cert, key string, serial int64) *x509.CertPool {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// secure connects over TLS, without a handshake of HTTP.
func secure(t *testing.T, addr string, roots *x509.CertPool) *rawws.Conn {
	t.Helper()
	nc, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := rawws.New(nc)
	c.Patience = drainPatience
	return c
}

// serialOf is that of the certificate that a new connection gets, "" when there is
// none.
func serialOf(addr string) string {
	nc, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return ""
	}
	defer nc.Close()
	return nc.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func sayHello(t *testing.T, c *rawws.Conn) {
	t.Helper()
	if err := c.Send(text("hello")); err != nil {
		t.Fatal(err)
	}
	if e, err := c.Next(); err != nil || string(e.Payload) != "hello" {
		t.Fatalf("%v, %v", e, err)
	}
}

// TestTLS serves every protocol encrypted, takes a new certificate while connections
// live, keeps the old one when that is broken, and says goodbye.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := writeCertificate(t, cert, key, 1)
	p := wsdproc.Start(t, "serve", "--tls-cert", cert, "--tls-key", key, "--drain-lb-wait", "0s", "--drain-window", "0s",
		"--sio-allow-join", "**", "--sio-relay", "say=**")

	old := secure(t, p.Addr, roots)
	if err := old.Upgrade("/echo", ""); err != nil {
		t.Fatal(err)
	}
	sayHello(t, old)

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: drainPatience}
	res, err := client.Get("https://" + p.Addr + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if cookie := res.Header.Get("Set-Cookie"); !strings.Contains(cookie, "; Secure") || res.ProtoMajor != 1 {
		t.Errorf("%s, cookie %q", res.Proto, cookie)
	}

	plain, err := rawws.Dial(p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Send([]byte(rawws.Request(p.Addr, "/echo"))); err != nil {
		t.Fatal(err)
	}
	if r, err := plain.ReadResponse(); err != nil || r.Status != http.StatusBadRequest || !strings.Contains(r.Body, "wss://") {
		t.Errorf("plain HTTP gets %+v, %v", r, err)
	}
	testkit.Eventually(t, func() bool { return strings.Contains(scraped(t, p), `wsd_connections_rejected_total{reason="tls"} 1`) }, drainPatience)

	t.Setenv("NODE_EXTRA_CA_CERTS", cert)
	crowd := gather(t, crowdSettings{URL: "https://" + p.Addr, Clients: 6, Transports: []string{"websocket", "polling", "upgrade"}})
	crowd.ask("say", nil)

	writeCertificate(t, cert, key, 2)
	p.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, func() bool { return serialOf(p.Addr) == "2" }, drainPatience)
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, func() bool { return strings.Contains(scraped(t, p), "wsd_config_last_reload_successful 0") }, drainPatience)
	testkit.Eventually(t, func() bool { return strings.Contains(p.Log(), "was not reloaded") }, drainPatience)
	if s := serialOf(p.Addr); s != "2" {
		t.Errorf("certificate %q", s)
	}
	sayHello(t, old)
	crowd.ask("say", nil)
	for i, m := range crowd.report() {
		if len(m.Disconnects) > 0 {
			t.Errorf("client %d was disconnected: %v", i, m.Disconnects)
		}
	}

	p.Signal(t, syscall.SIGTERM)
	e, err := old.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := farewell(old, e, 1001); err != nil {
		t.Error(err)
	}
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Log())
	}
}

// scraped is what the admin listener tells.
func scraped(t *testing.T, p *wsdproc.Process) string {
	t.Helper()
	res, err := http.Get("http://" + p.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTLSMemory holds what docs/operations.md says of an idle connection.
func TestTLSMemory(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	roots := writeCertificate(t, cert, key, 1)
	p := wsdproc.Start(t, "serve", "--tls-cert", cert, "--tls-key", key, "--drain-lb-wait", "0s")
	idle := func(n int) {
		for range n {
			c := secure(t, p.Addr, roots)
			if err := c.Upgrade("/echo", ""); err != nil {
				t.Fatal(err)
			}
			sayHello(t, c)
		}
	}
	idle(50) // what the first need
	before := resident(t, p.PID)
	const n = 500
	idle(n)
	each := (resident(t, p.PID) - before) / n
	t.Logf("%d KiB for an idle connection", each)
	if each > 100 {
		t.Errorf("an idle connection with TLS takes %d KiB", each)
	}
}

// resident is the memory of a process in KiB. proc_pid_status(5)
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
