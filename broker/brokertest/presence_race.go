package brokertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// comesWhileAnotherGoes has one server's connections begin while those of another,
// to the same users, come and go, and come again: Node reads of who is left.
func comesWhileAnotherGoes(t *testing.T, c PresenceCluster) {
	const rounds, users = 10, 100
	stays, flaps := enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")
	for _, n := range []*presenceNode{stays, flaps} {
		n.serves(t, "a", "b")
	}
	for round := range rounds {
		user := func(i int) string { return fmt.Sprintf("u%d-%d", round, i) }
		var both sync.WaitGroup
		both.Go(func() {
			for i := range users {
				if err := stays.Enter(user(i), "a1", at(1)); err != nil {
					t.Error(err)
				}
			}
		})
		both.Go(func() {
			for i := range users {
				for _, id := range []string{"b1", "b2", "b3"}[:1+i%3] {
					if err := errors.Join(flaps.Enter(user(i), id, at(2)), flaps.Exit(user(i), id)); err != nil {
						t.Error(err)
					}
				}
			}
		})
		both.Wait()
		for i := range users {
			stays.sees(t, user(i), "a1@a")
			c.reads(t, user(i), "a1@a")
		}
	}
}

// likeModel compares random operations with a map.
func likeModel(t *testing.T, c PresenceCluster) {
	const rounds, steps, users, connections = 8, 150, 6, 3
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	nodes := []*presenceNode{enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b"), enterPresence(t, c.Process(), "c")}
	model := map[string]map[string]broker.Connection{} // by user, by connection
	second := 0
	for range rounds {
		for range steps {
			second++
			n, user := nodes[rnd.IntN(len(nodes))], fmt.Sprint("u", rnd.IntN(users))
			id := fmt.Sprintf("%s%d", n.server, rnd.IntN(connections))
			if model[user] == nil {
				model[user] = map[string]broker.Connection{}
			}
			if rnd.IntN(2) == 0 {
				n.enter(t, user, id, second)
				model[user][id] = broker.Connection{ID: id, Server: n.server, At: at(second)}
			} else {
				n.exit(t, user, id)
				delete(model[user], id)
			}
		}
		for user, all := range model {
			var want []string
			for _, x := range sorted(all) {
				want = append(want, x.ID+"@"+x.Server)
			}
			for _, n := range nodes {
				n.sees(t, user, want...)
			}
			if len(want) == 0 {
				c.reads(t, user, "")
			} else if c.Entry != nil {
				// Where nodes enter at one time either may be written last, and not in
				// both keys the same.
				testkit.Eventually(t, func() bool {
					e, owner := c.Entry(user)
					owns := func(s string) bool { return strings.HasSuffix(s, "@"+owner) }
					return e != nil && slices.Contains(want, e.ID+"@"+e.Server) && slices.ContainsFunc(want, owns)
				}, patience)
			}
		}
	}
}

func sorted(all map[string]broker.Connection) []broker.Connection {
	var list []broker.Connection
	for _, c := range all {
		list = append(list, c)
	}
	slices.SortFunc(list, broker.CompareConnections)
	return list
}

// presenceAtOnce is for the race detector.
func presenceAtOnce(t *testing.T, c PresenceCluster) {
	const workers, rounds = 4, 30
	ctx := context.Background()
	nodes := []*presenceNode{enterPresence(t, c.Process(), "a"), enterPresence(t, c.Process(), "b")}
	passing := c.Process()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			n := nodes[w%len(nodes)]
			for i := range rounds {
				user, id := fmt.Sprint("u", i%5), fmt.Sprint(w, "-", i)
				err := errors.Join(n.Enter(user, id, at(i)), n.Send(nodes[i%2].server, directed("e")))
				_, looked := n.Lookup(ctx, user)
				_, listed := n.Servers(ctx)
				n.Health()
				if err := errors.Join(err, looked, listed, n.Exit(user, id)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 5 {
			n, err := passing.Join(fmt.Sprint("passing", i), func(*cluster.Message) {})
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(n.Enter("u0", fmt.Sprint("p", i), at(i)), n.Leave(ctx)); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for i := range 5 {
		for _, n := range nodes {
			n.sees(t, fmt.Sprint("u", i))
		}
		c.reads(t, fmt.Sprint("u", i), "")
	}
	nodes[0].serves(t, "a", "b")
}
