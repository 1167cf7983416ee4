package testkit

import (
	"errors"
	"testing"
)

func TestRedis(t *testing.T) {
	r := StartRedis(t)
	if got := r.Do("SET", "k", "v"); got != "OK" {
		t.Errorf("SET: %v", got)
	}
	if got := r.Do("GET", "k"); got != "v" {
		t.Errorf("GET: %v", got)
	}
	if got := r.Do("GET", "none"); got != nil {
		t.Errorf("GET of nothing: %v", got)
	}
	if list, ok := r.Do("CONFIG", "GET", "appendonly").([]any); !ok || len(list) != 2 || list[1] != "no" {
		t.Errorf("CONFIG GET: %v", list)
	}
	var refused RedisError
	if _, err := r.Try("NONSENSE"); !errors.As(err, &refused) {
		t.Errorf("a command that is none: %v", err)
	}
	if r.Info("redis_version") == "" {
		t.Error("no version")
	}
	r.Restart()
	if got := r.Do("GET", "k"); got != nil {
		t.Errorf("a server that keeps nothing kept %v", got)
	}
	r.Kill()
	if _, err := r.Try("PING"); err == nil {
		t.Error("a server that was killed answers")
	}
}

func TestRedisKeepsAnAppendOnlyFile(t *testing.T) {
	r := StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
	r.Do("SET", "k", "v")
	r.Restart()
	if got := r.Do("GET", "k"); got != "v" {
		t.Errorf("after kill and start: %v", got)
	}
}

func TestRedisTLSAndUsers(t *testing.T) {
	r := StartRedisTLS(t)
	r.Do("ACL", "SETUSER", "u", "on", ">secret", "~*", "&*", "+@all")
	r.As("u", "secret")
	if got := r.Do("ACL", "WHOAMI"); got != "u" {
		t.Errorf("I am %v", got)
	}
}
