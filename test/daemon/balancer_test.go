package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/balancer"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// servers are how many stand behind a balancer.
const servers = 3

// behind starts servers for a balancer: their room spans them by Redis.
func behind(t *testing.T, args ...string) (nodes []*wsdproc.Process, addresses []string) {
	t.Helper()
	redis := testkit.StartRedis(t)
	for i := range servers {
		n := wsdproc.Start(t, append([]string{"serve", "--server-id", fmt.Sprintf("ws%d", i+1),
			"--adapter", "classic", "--redis-url", redis.URL(), "--drain-lb-wait", "2500ms", "--max-connections", "1000",
			"--sio-allow-join", "room/*", "--sio-relay", "say=room/*"}, args...)...)
		nodes, addresses = append(nodes, n), append(addresses, n.Addr)
	}
	return nodes, addresses
}

// connections is what a server's /health says.
func connections(t *testing.T, address string) int {
	t.Helper()
	res, err := http.Get("http://" + address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	var h struct{ Connections int }
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil {
		t.Fatal(err)
	}
	return h.Connections
}

// Clients by every transport behind each balancer, with the files of deploy: all
// servers are used, sessions stay on theirs, and what one says all others hear. When
// a server leaves, its clients are in the room again by themselves.
func TestBalancers(t *testing.T) {
	for _, kind := range balancer.Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			const clients = 24
			nodes, addresses := behind(t)
			proxy := kind.Start(t, addresses)
			c := gather(t, crowdSettings{
				URL: "http://" + proxy, Clients: clients, Cookies: kind.Cookie,
				Transports: []string{"websocket", "polling", "upgrade"},
			})
			// A client that had to try twice has left a session that a heartbeat ends.
			testkit.Eventually(t, func() bool {
				total := 0
				for _, a := range addresses {
					total += connections(t, a)
				}
				return total == clients
			}, crowdTimeout)
			for i, a := range addresses {
				if connections(t, a) == 0 {
					t.Errorf("ws%d has no client", i+1)
				}
			}
			c.ask("say", nil)
			for i, m := range c.report() {
				if len(m.Connects) != 1 {
					t.Errorf("client %d, by %s, connected %d times: %v", i, m.Transport, len(m.Connects), m.Disconnects)
				}
			}

			nodes[1].Signal(t, syscall.SIGTERM)
			if code := nodes[1].Wait(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, nodes[1].Log())
			}
			c.ask("ready", nil)
			c.ask("say", nil)
			// Whose handshake was cut off has left a session that a heartbeat ends.
			testkit.Eventually(t, func() bool {
				return connections(t, addresses[0])+connections(t, addresses[2]) == clients
			}, crowdTimeout)
		})
	}
}
