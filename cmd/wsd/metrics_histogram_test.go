package main

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
)

// The broker's times have the engine's buckets, so that both can be laid over each
// other: the two packages do not know each other.
func TestLagsHaveTheBucketsOfTurns(t *testing.T) {
	if len(redis.LagBounds) != len(engine.TurnBounds) {
		t.Fatalf("%d bounds of lags, %d of turns", len(redis.LagBounds), len(engine.TurnBounds))
	}
	for i, lag := range redis.LagBounds {
		if turn := time.Duration(engine.TurnBounds[i]); lag != turn {
			t.Errorf("bound %d of lags is %s, of turns %s", i, lag, turn)
		}
	}
}
