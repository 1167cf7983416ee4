package cluster

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// proxy is a balancer with its configuration in deploy.
type proxy struct {
	name, config string
	// private are texts of the configuration, and what stands there for a process
	// of a test's own; PORT is its port.
	private [][2]string
	command func(config, dir string) []string
}

var proxies = []proxy{
	{
		"nginx", "nginx/ip_hash.conf",
		[][2]string{
			{"worker_rlimit_nofile 200000;", "pid nginx.pid;"},
			{"worker_connections 50000;", "worker_connections 1000;"},
			{"http {", "http {\nclient_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;"},
			{"listen 80;", "listen 127.0.0.1:PORT;"},
		},
		func(config, dir string) []string {
			return []string{"nginx", "-e", "stderr", "-p", dir, "-c", config, "-g", "daemon off;"}
		},
	},
	{
		"haproxy", "haproxy/source.cfg",
		[][2]string{
			{"maxconn 100000", "maxconn 1000"},
			{"bind :80", "bind 127.0.0.1:PORT"},
		},
		func(config, _ string) []string { return []string{"haproxy", "-db", "-f", config} },
	},
}

// One room behind a proxy that keeps each address on one server of three: two of
// wsd, one of Node.
func TestProxies(t *testing.T) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			servers := []*server{
				newServer(t, wsd, "wsd1", "--adapter", "classic", "--redis-url", redis.URL()),
				newServer(t, wsd, "wsd2", "--adapter", "classic", "--redis-url", redis.URL()),
				newServer(t, node, "redis", "--adapter", "classic", "--redis-url", redis.URL()),
			}
			start(t, servers...)
			port := testkit.FreePort(t)
			dir := t.TempDir()
			config := filepath.Join(dir, "config")
			if err := os.WriteFile(config, []byte(p.configured(t, port, servers)), 0o600); err != nil {
				t.Fatal(err)
			}
			launchProxy(t, p.command(config, dir), port)
			suite(t, settings{
				Suite: "balanced", Kind: "classic", Redis: redis.URL(), Servers: servers, Proxy: fmt.Sprintf("http://127.0.0.1:%d", port),
				Flows: flowsOf([]string{"/"}, [][2]string{{"wsd1", "wsd2"}, {"wsd1", "redis"}, {"wsd2", "redis"}, {"redis", "wsd1"}, {"redis", "wsd2"}, {"wsd2", "wsd1"}}, nil),
			}, nil)
		})
	}
}

// configured is the configuration with the test's addresses in it.
func (p *proxy) configured(t *testing.T, port int, servers []*server) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../deploy", p.config))
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	replace := func(old, by string) {
		t.Helper()
		if !strings.Contains(text, old) {
			t.Fatalf("%s has no %q", p.config, old)
		}
		text = strings.ReplaceAll(text, old, by)
	}
	for _, x := range p.private {
		replace(x[0], strings.ReplaceAll(x[1], "PORT", strconv.Itoa(port)))
	}
	for i, s := range servers {
		replace(fmt.Sprintf("ws%d.example.com:3000", i+1), fmt.Sprintf("127.0.0.1:%d", s.port))
	}
	return text
}

// launchProxy runs a proxy until the test ends, and waits until it listens.
func launchProxy(t *testing.T, argv []string, port int) {
	t.Helper()
	cmd := exec.Command(lookPath(t, argv[0]), argv[1:]...)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // a quick end for both, workers too
		<-done
	})
	testkit.Eventually(t, func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err == nil
	}, startTimeout)
}
