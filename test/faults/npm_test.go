package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// npm is the place of a node that is a server of npm's socket.io, with a client of
// Redis by name.
func npm(client string) place {
	return func(t *testing.T, argv []string) site {
		t.Helper()
		folder := filepath.Join("..", "cluster")
		if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
			t.Fatalf("%v: make deps installs it", err)
		}
		path, err := exec.LookPath("node")
		if err != nil {
			t.Fatalf("%v: make deps installs it", err)
		}
		line := []string{path, filepath.Join(folder, "js", "node.mjs"), "--client", client}
		for i, arg := range argv {
			if slices.Contains([]string{"--adapter", "--redis-url"}, arg) {
				line = append(line, arg, argv[i+1])
			}
		}
		return site{address: fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)), line: line, foreign: true}
	}
}

// A node of npm's and two of ours are a cluster still when connections have been
// broken, and Redis has stood still.
func TestMixedCluster(t *testing.T) {
	for _, tt := range []struct {
		mode   *mode
		client string
	}{
		{&mode{name: "classic", marks: true, args: []string{"--adapter", "classic"}}, "redis"},
		{&mode{name: "sharded", marks: true, args: []string{"--adapter", "sharded"}}, "ioredis"},
		{&mode{name: "streams", marks: true, log: "socket.io", read: readEvent, args: []string{"--adapter", "streams", "--stream-max-len", logLen}}, "redis"},
	} {
		t.Run(tt.mode.name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			w := newWorld(t, redis.URL(), []*mode{tt.mode}, 3, npm(tt.client))
			for range pick(1, 5) {
				killConnections(redis)
				w.settle("after CLIENT KILL")
				redis.Stop()
				w.toldDown()
				redis.Cont()
				w.settle("after the pause")
			}
			if tt.mode.log == "" {
				w.hasGaps(tt.mode)
			}
			w.clusters[0].fetches(t, 3)
			w.finish(the(redis))
		})
	}
}
