package redis_test

import (
	"slices"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestAged(t *testing.T) {
	a := redis.NewAged(3, time.Hour)
	if !a.Empty() {
		t.Error("not empty at first")
	}
	for i, key := range []string{"a", "b", "c"} {
		if a.Put(key, i) {
			t.Errorf("%s displaced another", key)
		}
	}
	if a.Put("a", 10) { // young again
		t.Error("a known key displaced another")
	}
	if !a.Put("d", 3) {
		t.Error("nothing had to go")
	}
	if got, want := a.Keys(), []string{"d", "a", "c"}; !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	if v, ok := a.Get("a"); v != 10 || !ok {
		t.Errorf("a is %d, %v", v, ok)
	}
	if v, ok := a.Get("b"); v != 0 || ok {
		t.Errorf("b is %d, %v", v, ok)
	}
	if v, ok := a.Take("c"); v != 2 || !ok {
		t.Errorf("c is %d, %v", v, ok)
	}
	if _, ok := a.Take("c"); ok {
		t.Error("c was taken twice")
	}

	short := redis.NewAged(3, time.Nanosecond)
	short.Put("a", 1)
	testkit.Eventually(t, short.Empty, patience)
	if _, ok := short.Get("a"); ok {
		t.Error("a has not been forgotten")
	}
	if short.Put("b", 1); short.Put("c", 1) || short.Put("d", 1) || short.Put("e", 1) {
		t.Error("what was forgotten takes room")
	}
}
