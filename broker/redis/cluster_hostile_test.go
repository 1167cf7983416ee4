package redis_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// hostileMessages is how many are sent to each adapter.
const hostileMessages = 3000

// TestClusterHostile sends random bytes and what Node's servers were seen to send,
// changed at random, by every channel that a node listens on. Whatever comes, it
// goes on to hear what makes sense, and to be counted.
func TestClusterHostile(t *testing.T) {
	t.Parallel()
	for _, tt := range adapters {
		t.Run(tt.name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			a, b := sit(t, connect(t, server, tt.o), "/"), sit(t, connect(t, server, tt.o), "/")
			a.node.RoomJoined("r")
			a.publish(t, a.own(&cluster.Message{Kind: cluster.FetchSockets, RequestID: "open"}))
			command, files := "PUBLISH", []string{"classic", "classic-specific-response"}
			uid := a.node.UID()
			channels := []string{
				"socket.io#/#", "socket.io#/#r#", "socket.io#/#aaaaaaaaaaaaaaaaaaaa#", "socket.io#/##", "socket.io#/#x",
				"socket.io-request#/#", "socket.io-request#/#", "socket.io-response#/#", "socket.io-response#/#" + uid + "#",
			}
			if tt.o.Adapter == redis.Sharded {
				command, files = "SPUBLISH", []string{"sharded-dynamic"}
				channels = []string{"socket.io#/#", "socket.io#/#" + uid + "#", "socket.io#/#r#"}
			}
			var seeds []string
			for _, name := range files {
				for _, c := range capture(t, name) {
					seeds = append(seeds, string(c.payload))
				}
			}
			seed := rand.Uint64()
			rng := rand.New(rand.NewPCG(seed, 1))
			defer func() {
				if t.Failed() {
					t.Logf("seed %d", seed)
				}
			}()
			for i := range hostileMessages {
				server.Do(command, channels[rng.IntN(len(channels))], mutate(rng, seeds))
				if i%500 != 0 {
					continue
				}
				name := fmt.Sprint("fence ", i)
				b.publish(t, b.event(name))
				testkit.Eventually(t, func() bool { return slices.Contains(a.heard(), name) }, patience)
			}
			for _, m := range a.messages() {
				if err := m.Check(); err != nil {
					t.Errorf("%+v was delivered: %v", m, err)
				}
			}
			if got := a.others(t); got.Others != 1 || len(got.UIDs) != 1 || got.UIDs[0] != b.node.UID() {
				t.Errorf("members %+v, want the other node alone", got)
			}
			if h := a.node.Health(); !h.Up || h.Lost == 0 || h.Gaps != 0 {
				t.Errorf("health %+v, want messages skipped and no gap", h)
			}
		})
	}
}

// mutate makes a payload of a captured one, or of nothing.
func mutate(rng *rand.Rand, seeds []string) string {
	b := []byte(seeds[rng.IntN(len(seeds))])
	switch rng.IntN(6) {
	case 0:
		b = make([]byte, rng.IntN(100))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	case 1:
		b = b[:rng.IntN(len(b)+1)]
	case 2:
		for range 1 + rng.IntN(4) {
			b[rng.IntN(len(b))] = byte(rng.Uint32())
		}
	case 3:
		other := seeds[rng.IntN(len(seeds))]
		b = append(b[:rng.IntN(len(b)+1)], other[rng.IntN(len(other)+1):]...)
	case 4:
		words := []string{"type", "opts", "data", "rooms", "requestId", "uid", "nsp", "[]", "{}", "null", "/", "packet"}
		b = []byte(strings.ReplaceAll(string(b), words[rng.IntN(len(words))], words[rng.IntN(len(words))]))
	case 5:
		at := rng.IntN(len(b) + 1)
		b = slices.Insert(b, at, []byte(strings.Repeat("[", 1+rng.IntN(3000)))...)
	}
	return string(b)
}
