package testkit

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clusterUp is how long the servers may take to agree.
const clusterUp = 30 * time.Second

// clusterSlots is how many slots a Redis Cluster has.
const clusterSlots = 16384

// RedisCluster is a Redis Cluster of a test's own.
type RedisCluster struct {
	Masters  []*Redis // those that began as such
	Replicas []*Redis

	t   testing.TB
	ids map[*Redis]string
}

// StartRedisCluster starts a Cluster of so many masters, each with so many
// replicas, over which the slots are spread evenly. args are more arguments of all
// servers.
func StartRedisCluster(t testing.TB, masters, replicasEach int, args ...string) *RedisCluster {
	t.Helper()
	c := &RedisCluster{t: t, ids: map[*Redis]string{}}
	for i := range masters * (1 + replicasEach) {
		r := StartRedis(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(FreePort(t)),
			"--cluster-node-timeout", "2000", "--cluster-config-file", "nodes.conf",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0",
		}, args...)...)
		c.ids[r] = r.Do("CLUSTER", "MYID").(string)
		r.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		if i < masters {
			c.Masters = append(c.Masters, r)
		} else {
			c.Replicas = append(c.Replicas, r)
		}
	}
	for i, m := range c.Masters {
		m.Do("CLUSTER", "ADDSLOTSRANGE",
			strconv.Itoa(i*clusterSlots/masters), strconv.Itoa((i+1)*clusterSlots/masters-1))
	}
	first := c.Masters[0]
	for _, r := range c.all() {
		if r != first {
			r.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(first.Port), first.busPort())
		}
	}
	c.await("know each other", func(r *Redis) bool {
		return strings.Count(r.Do("CLUSTER", "NODES").(string), " connected") == len(c.all())
	})
	for i, r := range c.Replicas {
		r.Do("CLUSTER", "REPLICATE", c.ids[c.Masters[i%masters]])
	}
	c.AwaitOK()
	return c
}

// busPort is where the Cluster's members talk to a server.
func (r *Redis) busPort() string {
	for i, a := range r.args {
		if a == "--cluster-port" {
			return r.args[i+1]
		}
	}
	return strconv.Itoa(r.Port + 10000)
}

func (c *RedisCluster) all() []*Redis {
	return append(append([]*Redis(nil), c.Masters...), c.Replicas...)
}

// await waits until something holds for all servers.
func (c *RedisCluster) await(what string, holds func(*Redis) bool) {
	c.t.Helper()
	for _, r := range c.all() {
		if !poll(clusterUp, func() bool { return holds(r) }) {
			c.t.Fatalf("the members of a Redis Cluster do not %s: %s says\n%v", what, r.Addr, r.Do("CLUSTER", "NODES"))
		}
	}
}

// AwaitOK returns when all servers, which must be running, say that the Cluster is
// well, and the replicas follow.
func (c *RedisCluster) AwaitOK() {
	c.t.Helper()
	c.await("agree", func(r *Redis) bool {
		return strings.Contains(r.Do("CLUSTER", "INFO").(string), "cluster_state:ok")
	})
	for _, r := range c.Replicas {
		if !poll(clusterUp, func() bool { return r.Info("master_link_status") != "down" }) {
			c.t.Fatalf("replica %s does not follow", r.Addr)
		}
	}
}

// URL names all servers.
func (c *RedisCluster) URL() string {
	var addrs []string
	for _, r := range c.all() {
		addrs = append(addrs, r.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// Slot is a key's, or a sharded channel's.
func (c *RedisCluster) Slot(key string) int {
	c.t.Helper()
	return int(c.Masters[0].Do("CLUSTER", "KEYSLOT", key).(int64))
}

// Owner is the server that says of itself that it has a slot; nil if none does.
func (c *RedisCluster) Owner(slot int) *Redis {
	c.t.Helper()
	for _, r := range c.all() {
		ranges, err := r.Try("CLUSTER", "SLOTS")
		if err != nil {
			continue
		}
		for _, e := range ranges.([]any) {
			e := e.([]any)
			if int(e[0].(int64)) <= slot && slot <= int(e[1].(int64)) && int(e[2].([]any)[1].(int64)) == r.Port {
				return r
			}
		}
	}
	return nil
}

// MigrateSlot moves a slot, with its keys, to another master.
func (c *RedisCluster) MigrateSlot(slot int, to *Redis) {
	c.t.Helper()
	from := c.Owner(slot)
	if from == nil || from == to {
		c.t.Fatalf("slot %d is owned by %v", slot, from)
	}
	n := strconv.Itoa(slot)
	to.Do("CLUSTER", "SETSLOT", n, "IMPORTING", c.ids[from])
	from.Do("CLUSTER", "SETSLOT", n, "MIGRATING", c.ids[to])
	for {
		keys := from.Do("CLUSTER", "GETKEYSINSLOT", n, "100").([]any)
		if len(keys) == 0 {
			break
		}
		cmd := []string{"MIGRATE", "127.0.0.1", strconv.Itoa(to.Port), "", "0", "5000", "KEYS"}
		for _, k := range keys {
			cmd = append(cmd, k.(string))
		}
		from.Do(cmd...)
	}
	for _, r := range append([]*Redis{to, from}, c.Masters...) {
		r.Do("CLUSTER", "SETSLOT", n, "NODE", c.ids[to])
	}
}

// String is for failed tests.
func (r *Redis) String() string {
	if r == nil {
		return "nobody"
	}
	return fmt.Sprint(r.Addr)
}
