package daemon

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// TestSlowloris: clients that take for ever to say what they want are sent away by
// each listener, and others are served meanwhile.
func TestSlowloris(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, 1)
	plain := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s", "--ping-interval", "2s", "--ping-timeout", "2s")
	encrypted := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s", "--tls-cert", cert, "--tls-key", key, "--ping-interval", "2s", "--ping-timeout", "2s")
	insecure := &tls.Config{InsecureSkipVerify: true}
	dial := func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, drainPatience) }
	listeners := []struct {
		name, health string
		dial         func() (net.Conn, error)
	}{
		{"public", "http://" + plain.Addr, func() (net.Conn, error) { return dial(plain.Addr) }},
		{"TLS", "https://" + encrypted.Addr, func() (net.Conn, error) { return tls.Dial("tcp", encrypted.Addr, insecure) }},
		{"beneath TLS", "https://" + encrypted.Addr, func() (net.Conn, error) { return dial(encrypted.Addr) }},
		{"admin", "http://" + plain.Admin, func() (net.Conn, error) { return dial(plain.Admin) }},
	}
	attacks := []struct{ name, at, drop string }{
		{"half a head", "GET /health HTTP/1.1\r\nHost: x\r\nX-", ""},
		{"a byte at a time", "GET /echo HTTP/1.1\r\n", strings.Repeat("x", 1000)},
		{"half a body", "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx", ""},
		{"half a body of a session", "POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx", ""},
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: insecure}, Timeout: drainPatience}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for _, l := range listeners {
		for _, a := range attacks {
			for range 5 {
				wg.Go(func() {
					nc, err := l.dial()
					if err != nil {
						t.Errorf("%s: %v", l.name, err)
						return
					}
					defer nc.Close()
					nc.SetDeadline(time.Now().Add(drainPatience))
					io.WriteString(nc, a.at)
					gone := make(chan struct{})
					go func() {
						tick := time.NewTicker(100 * time.Millisecond)
						defer tick.Stop()
						for i := range a.drop {
							select {
							case <-gone:
								return
							case <-tick.C:
								io.WriteString(nc, a.drop[i:i+1]) // an end shows when reading
							}
						}
					}()
					defer close(gone)
					if _, err := io.Copy(io.Discard, nc); err != nil {
						if e, ok := err.(net.Error); ok && e.Timeout() {
							t.Errorf("%s: %s: still connected", l.name, a.name)
						}
					}
				})
			}
		}
		res, err := client.Get(l.health + "/health")
		if err != nil {
			t.Errorf("%s: nobody else is served: %v", l.name, err)
			continue
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%s: /health: %d", l.name, res.StatusCode)
		}
	}
	wg.Wait()
}
