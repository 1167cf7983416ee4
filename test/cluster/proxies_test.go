package cluster

import (
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/balancer"
)

// One room behind a proxy that keeps each address on one server of three: two of
// wsd, one of Node.
func TestProxies(t *testing.T) {
	for _, kind := range balancer.Kinds {
		if kind.Cookie {
			continue // Node's server sets none; test/daemon has them
		}
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			servers := []*server{
				newServer(t, wsd, "wsd1", "--adapter", "classic", "--redis-url", redis.URL()),
				newServer(t, wsd, "wsd2", "--adapter", "classic", "--redis-url", redis.URL()),
				newServer(t, node, "redis", "--adapter", "classic", "--redis-url", redis.URL()),
			}
			start(t, servers...)
			var addresses []string
			for _, s := range servers {
				addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", s.port))
			}
			suite(t, settings{
				Suite: "balanced", Kind: "classic", Redis: redis.URL(), Servers: servers, Proxy: "http://" + kind.Start(t, addresses),
				Flows: flowsOf([]string{"/"}, [][2]string{{"wsd1", "wsd2"}, {"wsd1", "redis"}, {"wsd2", "redis"}, {"redis", "wsd1"}, {"redis", "wsd2"}, {"wsd2", "wsd1"}}, nil),
			}, nil)
		})
	}
}
