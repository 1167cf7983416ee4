package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// pubsubFlags are those of /pubsub.
type pubsubFlags struct {
	PubsubPath       string        `default:"/pubsub" placeholder:"PATH" help:"Where the protocol wsd.json.v1 is spoken. Default ${default}."`
	PubsubPing       time.Duration `default:"25s" help:"How long a connection there may be quiet before clients ask whether it is alive: they are told. Default ${default}."`
	PubsubMaxTopics  int           `default:"128" placeholder:"N" help:"Topics that a connection there may subscribe to. Default ${default}."`
	PubsubMaxMembers int           `default:"1000" placeholder:"N" help:"Members of a topic that a client there is told, of how many there are. Default ${default}."`
	PubsubMaxPending int           `default:"256" placeholder:"N" help:"Publications of a connection there that may wait for the broker. Default ${default}."`
}

// pubsubLimits are those that a reload takes.
func (f *pubsubFlags) pubsubLimits() pubsub.Limits {
	return pubsub.Limits{Ping: f.PubsubPing, MaxTopics: f.PubsubMaxTopics, MaxPending: f.PubsubMaxPending}
}

// check refuses what can't be meant.
func (f *pubsubFlags) check() error {
	switch {
	case !strings.HasPrefix(f.PubsubPath, "/") || strings.ContainsAny(f.PubsubPath, "{}*") || strings.HasSuffix(f.PubsubPath, "/"):
		return usageError(fmt.Errorf("--pubsub-path %s: want a path such as /pubsub", f.PubsubPath))
	case f.PubsubPing < time.Second:
		return usageError(errors.New("--pubsub-ping: want at least 1s"))
	case min(f.PubsubMaxTopics, f.PubsubMaxMembers, f.PubsubMaxPending) < 1:
		return usageError(errors.New("--pubsub-max-topics, --pubsub-max-members and --pubsub-max-pending: want at least 1"))
	}
	return nil
}
