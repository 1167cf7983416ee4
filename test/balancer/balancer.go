// Package balancer runs real load balancers for tests, with the configurations of
// deploy.
package balancer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// startTimeout bounds a start.
const startTimeout = 30 * time.Second

// Kind is a program with one of its configurations.
type Kind struct {
	Name string
	// Cookie says that clients are kept on their server by a cookie, not by address.
	Cookie bool

	config string
	// private are texts of the configuration, and what stands there for a process
	// of a test's own; PORT is its port.
	private [][2]string
	command func(config, dir string) []string
}

// The kinds.
var (
	NginxIPHash   = &Kind{Name: "nginx, ip_hash", config: "nginx/ip_hash.conf", private: nginxPrivate, command: nginx}
	NginxCookie   = &Kind{Name: "nginx, cookie", Cookie: true, config: "nginx/cookie.conf", private: nginxPrivate, command: nginx}
	HAProxySource = &Kind{Name: "HAProxy, source", config: "haproxy/source.cfg", private: haproxyPrivate, command: haproxy}
	HAProxyCookie = &Kind{Name: "HAProxy, cookie", Cookie: true, config: "haproxy/cookie.cfg", private: haproxyPrivate, command: haproxy}

	// HAProxyTCP speaks the PROXY protocol, which servers have to be told: it is none
	// of Kinds.
	HAProxyTCP = &Kind{Name: "HAProxy, TCP", config: "haproxy/tcp.cfg", private: haproxyPrivate, command: haproxy}

	Kinds = []*Kind{NginxIPHash, NginxCookie, HAProxySource, HAProxyCookie}
)

var (
	nginxPrivate = [][2]string{
		{"worker_rlimit_nofile 200000;", "pid nginx.pid;"},
		{"worker_connections 50000;", "worker_connections 1000;"},
		{"http {", "http {\nclient_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;"},
		{"listen 80;", "listen 127.0.0.1:PORT;"},
	}
	haproxyPrivate = [][2]string{
		{"maxconn 100000", "maxconn 2000"},
		{"bind :80", "bind 127.0.0.1:PORT"},
	}
)

func nginx(config, dir string) []string {
	return []string{"nginx", "-e", "stderr", "-p", dir, "-c", config, "-g", "daemon off;"}
}

func haproxy(config, _ string) []string { return []string{"haproxy", "-db", "-f", config} }

// Start runs the balancer in front of three servers (host:port) until the test ends,
// and returns its own address when it listens. change are further texts of the
// configuration and what stands there instead. The caller's package stands two folders
// below the repository's root.
func (k *Kind) Start(t *testing.T, servers []string, change ...[2]string) (address string) {
	t.Helper()
	port, dir := testkit.FreePort(t), t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte(k.configured(t, port, servers, change)), 0o600); err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", port)
	launch(t, k.command(config, dir), address)
	return address
}

// configured is the configuration with the test's addresses in it.
func (k *Kind) configured(t *testing.T, port int, servers []string, change [][2]string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../deploy", k.config))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	replace := func(old, by string) {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %q", k.config, old)
		}
		text = strings.ReplaceAll(text, old, by)
	}
	for _, x := range k.private {
		replace(x[0], strings.ReplaceAll(x[1], "PORT", strconv.Itoa(port)))
	}
	for _, x := range change {
		replace(x[0], x[1])
	}
	for i, address := range servers {
		replace(fmt.Sprintf("ws%d.example.com:3000", i+1), address)
	}
	return text
}

// launch runs a program until the test ends, and waits until it listens.
func launch(t *testing.T, argv []string, address string) {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		t.Fatalf("%v: make test installs it", err)
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		// A quick end for both, workers too. SIGINT is ignored where a shell has started
		// the tests in the background.
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-done
	})
	testkit.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, startTimeout)
}
