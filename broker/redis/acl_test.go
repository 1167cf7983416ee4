package redis

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/brokertest"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// aclRules are what a wsd may do, as docs/redis.md has them: ACL SETUSER wsd on
// >password, and these.
//
// A server compares what is given to PSUBSCRIBE with the patterns of the rule as
// text: the classic adapter needs its pattern of each namespace word for word, or
// "&*".
const aclRules = "resetkeys resetchannels -@all" +
	" ~wsd:* ~user:* ~socket.io* ~sio:session:*" +
	" &wsd:* &socket.io*" +
	// Connections; the second line is for Sentinel and Cluster.
	" +ping +hello +select +client|tracking +client|caching +client|list +client|kill" +
	" +role +cluster|slots +cluster|shards" +
	" +publish +spublish +subscribe +psubscribe +ssubscribe +unsubscribe +punsubscribe +sunsubscribe" +
	" +pubsub|numsub +pubsub|shardnumsub" +
	// Streams and the logs of topics.
	" +xadd +xread +xrange +xrevrange +xtrim +xinfo|stream" +
	// Sessions, presence, and their scripts.
	" +get +getrange +getdel +set +del +pexpire +pttl +multi +exec +discard" +
	" +hget +hmget +hset +hdel +hlen +hscan +hgetall +sadd +srem +smembers +srandmember +sscan" +
	" +eval +evalsha +script|load"

// aclElsewhere are those of the commands that not every run of the suites calls:
// they are for sentinels' masters, for Clusters, for databases, for users with many
// connections, for connections that were given up, and what the client library says
// before it uses a connection again.
var aclElsewhere = []string{"role", "cluster|slots", "cluster|shards", "select", "hscan", "discard", "client|list", "client|kill"}

// TestACL runs the suites as a user that may do no more than the documented line
// says: the server lists what it refuses, and counts what was called.
func TestACL(t *testing.T) {
	t.Parallel()
	called := map[string]bool{}
	defer func() {
		for rule := range strings.FieldsSeq(aclRules) {
			if name, ok := strings.CutPrefix(rule, "+"); ok && !called[name] && !slices.Contains(aclElsewhere, name) && !t.Failed() {
				t.Errorf("%s is allowed, but not called", name)
			}
		}
	}()
	for _, tt := range []struct {
		name  string
		rules string // more, for this one
		run   func(t *testing.T, r *testkit.Redis)
	}{
		{"topics", "", func(t *testing.T, r *testkit.Redis) { topicsSuite(t, aclURL(r), r) }},
		{"classic", " &socket.io#/#* &socket.io#/other#* &socket.io#/o#* &socket.io#/suite#*", aclCluster(Classic)},
		{"sharded", "", aclCluster(Sharded)},
		{"streams", "", func(t *testing.T, r *testkit.Redis) {
			aclCluster(Streams)(t, r)
			brokertest.Log(t, aclStart(r, Streams))
		}},
		{"summaries", "", func(t *testing.T, r *testkit.Redis) { summaries(t, aclURL(r), r) }},
		{"presence", "", func(t *testing.T, r *testkit.Redis) {
			brokertest.Presence(t, func(t *testing.T) brokertest.PresenceCluster {
				r.Do("FLUSHALL")
				return presences(t, aclURL(r), only(r), nil)
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := testkit.StartRedis(t)
			restrict(r, tt.rules)
			tt.run(t, r)
			noneRefused(t, r)
			for rule := range strings.FieldsSeq(aclRules) {
				if name, ok := strings.CutPrefix(rule, "+"); ok && r.Info("cmdstat_"+name) != "" {
					called[name] = true
				}
			}
		})
	}
}

// restrict makes the user at a server; more are rules beyond aclRules.
func restrict(r *testkit.Redis, more string) {
	r.Do(append([]string{"ACL", "SETUSER", "wsd", "on", ">secret"}, strings.Fields(aclRules+more)...)...)
}

// noneRefused fails the test if a server has refused anything.
func noneRefused(t *testing.T, r *testkit.Redis) {
	t.Helper()
	for _, e := range r.Do("ACL", "LOG").([]any) {
		t.Errorf("refused: %v", e)
	}
}

// TestACLOfGroups: the same line is enough in a Cluster, and with Sentinel.
func TestACLOfGroups(t *testing.T) {
	t.Parallel()
	cluster, group := testkit.StartRedisCluster(t, 2, 0), testkit.StartSentinels(t, 1, 1)
	for _, tt := range []struct {
		name    string
		url     string
		servers []*testkit.Redis
	}{
		{"cluster", cluster.URL(), cluster.Masters},
		{"sentinel", group.URL(), group.Servers},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range tt.servers {
				restrict(r, "")
			}
			b := openBroker(t, strings.Replace(tt.url, "://", "://wsd:secret@", 1), steady)
			e, _ := listen(t, b, sharded, "wsd:a")
			if err := b.newLane("test").push(1, spublish("wsd:a", "1"), nil); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, func() bool { return e.has("wsd:a:1") && b.Health().Up }, patience)
			for _, r := range tt.servers {
				noneRefused(t, r)
			}
		})
	}
}

func aclURL(r *testkit.Redis) string { return "redis://wsd:secret@" + r.Addr }

func aclCluster(a Adapter) func(*testing.T, *testkit.Redis) {
	return func(t *testing.T, r *testkit.Redis) {
		if a == Streams {
			brokertest.ClusterOfTwoWays(t, aclStart(r, a))
			return
		}
		brokertest.Cluster(t, aclStart(r, a))
	}
}

// aclStart makes the clusters of a suite, one after another on one server.
func aclStart(r *testkit.Redis, a Adapter) func(*testing.T) func() broker.Cluster {
	var n atomic.Int64
	return func(t *testing.T) func() broker.Cluster {
		r.Do("FLUSHALL")
		stream := fmt.Sprint("socket.io", n.Add(1))
		return func() broker.Cluster {
			return openBroker(t, aclURL(r), func(o *Options) { o.Adapter, o.StreamName = a, stream }).Cluster()
		}
	}
}
