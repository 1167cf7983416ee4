package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// MasterName is how sentinels of tests call their master.
const MasterName = "mymaster"

// sentinelUp is how long sentinels may take to agree.
const sentinelUp = 60 * time.Second

// RedisSentinel is a master with replicas, and sentinels that watch over them.
type RedisSentinel struct {
	Servers   []*Redis // the first one began as the master
	Sentinels []*Redis

	t testing.TB
}

// StartSentinels starts a master, so many replicas, and so many sentinels, most of
// which must agree that a master is down: for a second. args are more arguments of
// the servers.
func StartSentinels(t testing.TB, replicas, sentinels int, args ...string) *RedisSentinel {
	t.Helper()
	s := &RedisSentinel{t: t}
	master := StartRedis(t, append([]string{"--repl-diskless-sync-delay", "0"}, args...)...)
	s.Servers = append(s.Servers, master)
	for range replicas {
		s.Servers = append(s.Servers, StartRedis(t, append([]string{
			"--replicaof", "127.0.0.1 " + strconv.Itoa(master.Port), "--repl-diskless-sync-delay", "0",
		}, args...)...))
	}
	for _, r := range s.Servers[1:] {
		Eventually(t, func() bool { return r.Info("master_link_status") == "up" }, sentinelUp)
	}
	for range sentinels {
		r := newRedis(t, "redis-sentinel", FreePort(t))
		file := filepath.Join(r.Dir, "sentinel.conf")
		conf := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
sentinel monitor %s 127.0.0.1 %d %d
sentinel down-after-milliseconds %s 1000
sentinel failover-timeout %s 10000
`, r.Port, r.Dir, MasterName, master.Port, sentinels/2+1, MasterName, MasterName)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
		r.args = []string{file}
		r.Start()
		s.Sentinels = append(s.Sentinels, r)
	}
	for _, r := range s.Sentinels {
		Eventually(t, func() bool {
			m := s.master(r)
			return m["num-slaves"] == strconv.Itoa(replicas) && m["num-other-sentinels"] == strconv.Itoa(sentinels-1)
		}, sentinelUp)
	}
	return s
}

// master is what a sentinel knows of the master.
func (s *RedisSentinel) master(sentinel *Redis) map[string]string {
	v, err := sentinel.Try("SENTINEL", "MASTER", MasterName)
	list, _ := v.([]any)
	if err != nil || len(list)%2 != 0 {
		return nil
	}
	m := map[string]string{}
	for i := 0; i < len(list); i += 2 {
		m[list[i].(string)], _ = list[i+1].(string)
	}
	return m
}

// URL names all sentinels.
func (s *RedisSentinel) URL() string {
	var addrs []string
	for _, r := range s.Sentinels {
		addrs = append(addrs, r.Addr)
	}
	return "redis+sentinel://" + strings.Join(addrs, ",") + "/" + MasterName
}

// Master is the server that most sentinels call so, and that agrees; nil if there
// is none now.
func (s *RedisSentinel) Master() *Redis {
	votes := map[string]int{}
	for _, r := range s.Sentinels {
		votes[s.master(r)["port"]]++
	}
	for _, r := range s.Servers {
		if votes[strconv.Itoa(r.Port)] <= len(s.Sentinels)/2 {
			continue
		}
		if v, err := r.Try("ROLE"); err == nil && v.([]any)[0] == "master" {
			return r
		}
	}
	return nil
}

// Failover makes another server the master while the old one stays up, and returns
// when that is done: the new one.
func (s *RedisSentinel) Failover() *Redis {
	s.t.Helper()
	old := s.Master()
	// Replicas that are not known to be well yet make it refuse.
	Eventually(s.t, func() bool {
		_, err := s.Sentinels[0].Try("SENTINEL", "FAILOVER", MasterName)
		return err == nil
	}, sentinelUp)
	return s.AwaitMaster(old)
}

// AwaitMaster waits for a master other than old.
func (s *RedisSentinel) AwaitMaster(old *Redis) *Redis {
	s.t.Helper()
	var now *Redis
	Eventually(s.t, func() bool {
		now = s.Master()
		return now != nil && now != old
	}, sentinelUp)
	return now
}
