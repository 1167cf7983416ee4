package cluster

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// directions are the pairs of servers between which every call is made: Node's
// among themselves first, which is what the others are measured by.
var directions = [][2]string{
	{"redis", "ioredis"},
	{"redis", "wsd1"}, {"ioredis", "wsd2"},
	{"wsd1", "redis"}, {"wsd2", "ioredis"},
	{"wsd1", "wsd2"},
}

// both are the namespaces.
var both = []string{"/", "/custom"}

// flowsOf are flows in each namespace and direction.
func flowsOf(namespaces []string, directions [][2]string, calls []string) (flows []flow) {
	for _, nsp := range namespaces {
		for _, d := range directions {
			flows = append(flows, flow{d[0], d[1], nsp, calls})
		}
	}
	return flows
}

// Every call of the adapters' API, from every sort of server to every other, in
// two namespaces, for every kind of adapter; and npm's emitter.
func TestMatrix(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			flows := flowsOf(both, directions, callsOf(k.name))
			if slices.Contains(classicKinds, k.name) {
				flows = append(flows, flowsOf(both, [][2]string{{"emitter", "redis"}, {"emitter", "wsd1"}}, emitterCalls)...)
			}
			suite(t, settings{
				Suite: "matrix", Kind: k.name, Redis: redis.URL(),
				Servers: cluster(t, k, redis.URL()), Flows: flows,
			}, func(l *line) { table.add(k.name, l) })
		})
	}
}

// cluster starts two Node servers, one by each client of Redis, and two of wsd.
func cluster(t *testing.T, k kind, redis string, args ...string) []*server {
	t.Helper()
	args = slices.Concat([]string{"--redis-url", redis}, k.args, args)
	servers := []*server{
		newServer(t, node, "redis", append(args, "--client", "redis")...),
		newServer(t, node, "ioredis", append(args, "--client", "ioredis")...),
		newServer(t, wsd, "wsd1", args...),
		newServer(t, wsd, "wsd2", args...),
	}
	start(t, servers...)
	return servers
}

// Namespaces whose hash is negative: Node's servers write to a stream that none
// of them reads. wsd hears them, and is heard.
func TestStreamsThatNodeDoesNotRead(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	k := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "streams-4" })]
	suite(t, settings{
		Suite: "matrix", Kind: k.name, Redis: redis.URL(),
		Servers: cluster(t, k, redis.URL(), "--namespaces", "/,/custom,/notifications,/tenant-1"),
		Flows:   flowsOf([]string{"/notifications", "/tenant-1"}, [][2]string{{"redis", "wsd1"}, {"wsd1", "redis"}, {"wsd1", "wsd2"}}, callsOf(k.name)),
	}, nil)
}

// Servers with the adapters of older days, and what they can do beside new ones.
func TestLegacy(t *testing.T) {
	for _, tt := range []struct {
		name  string // of the adapter
		kind  string // of its new peers
		calls []string
	}{
		{"classic7", "classic", callsOf("classic")},
		{"classic6", "classic", broadcastCalls},
		{"streams02", "streams", slices.Concat(broadcastCalls, tellCalls)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			servers := []*server{
				newServer(t, node, "old", "--adapter", tt.name, "--client", "ioredis", "--redis-url", redis.URL()),
				newServer(t, node, "redis", "--adapter", tt.kind, "--redis-url", redis.URL()),
				newServer(t, wsd, "wsd1", "--adapter", tt.kind, "--redis-url", redis.URL()),
			}
			start(t, servers...)
			suite(t, settings{
				Suite: "matrix", Kind: tt.kind, Redis: redis.URL(), Servers: servers,
				Flows: flowsOf(both, [][2]string{{"old", "redis"}, {"redis", "old"}, {"old", "wsd1"}, {"wsd1", "old"}}, tt.calls),
			}, nil)
		})
	}
}

// recoveryCalls are the checks of js/checks/recovery.mjs.
var recoveryCalls = []string{"recovery", "recoveryTwice", "recoveryRefused"}

// Connection state recovery: a client leaves one server and comes back to another.
func TestRecovery(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	k := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == "streams" })]
	suite(t, settings{
		Suite: "recovery", Kind: k.name, Redis: redis.URL(),
		Servers: cluster(t, k, redis.URL(), "--recovery", "1m"),
		Flows:   flowsOf(both, directions, recoveryCalls),
	}, func(l *line) { table.add(k.name, l) })
}

// Among wsd's nodes it holds with others talking, too.
func TestBusyRecovery(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	args := []string{"--adapter", "streams", "--redis-url", redis.URL(), "--recovery", "1m"}
	servers := []*server{newServer(t, wsd, "wsd1", args...), newServer(t, wsd, "wsd2", args...)}
	start(t, servers...)
	suite(t, settings{
		Suite: "busyRecovery", Kind: "streams", Redis: redis.URL(), Servers: servers,
		Flows: flowsOf(both, [][2]string{{"wsd1", "wsd2"}, {"wsd2", "wsd1"}, {"wsd1", "wsd1"}}, recoveryCalls),
	}, nil)
}

// A server that ends, told to or killed, and starts again, is no member
// meanwhile: requests of the others miss nobody.
func TestMembers(t *testing.T) {
	signals := map[string]syscall.Signal{"stop": syscall.SIGTERM, "kill": syscall.SIGKILL}
	for _, k := range some("classic", "sharded-dynamic", "streams") {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			servers := cluster(t, k, redis.URL())
			suite(t, settings{
				Suite: "members", Kind: k.name, Redis: redis.URL(), Servers: servers,
				Flows: flowsOf([]string{"/"}, [][2]string{{"redis", "ioredis"}, {"redis", "wsd2"}, {"ioredis", "wsd1"}, {"wsd1", "ioredis"}}, []string{"stop", "kill"}),
				Order: func(t *testing.T, order string) {
					var act, name string
					if _, err := fmt.Sscan(order, &act, &name); err != nil {
						t.Fatal(err)
					}
					i := slices.IndexFunc(servers, func(s *server) bool { return s.Name == name })
					if signal, ok := signals[act]; ok {
						servers[i].stop(t, signal)
						return
					}
					servers[i] = servers[i].again(t)
					start(t, servers[i])
				},
			}, nil)
		})
	}
}
