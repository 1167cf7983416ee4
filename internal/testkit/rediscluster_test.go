package testkit

import "testing"

func TestRedisCluster(t *testing.T) {
	c := StartRedisCluster(t, 3, 1)
	slot := c.Slot("{a}key")
	from := c.Owner(slot)
	from.Do("SET", "{a}key", "v")
	to := c.Masters[0]
	if to == from {
		to = c.Masters[1]
	}
	c.MigrateSlot(slot, to)
	if got := c.Owner(slot); got != to {
		t.Errorf("slot %d belongs to %v, want %v", slot, got, to)
	}
	if got := to.Do("GET", "{a}key"); got != "v" {
		t.Errorf("the key did not move: %v", got)
	}
}

func TestSentinels(t *testing.T) {
	s := StartSentinels(t, 1, 3)
	first := s.Master()
	if first != s.Servers[0] {
		t.Fatalf("the master is %v, want %v", first, s.Servers[0])
	}
	if second := s.Failover(); second != s.Servers[1] {
		t.Errorf("the master is %v, want %v", second, s.Servers[1])
	}
}
