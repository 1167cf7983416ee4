package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/broker/redis"
)

var adapters = map[string]redis.Adapter{
	"classic": redis.Classic,
	"sharded": redis.Sharded,
	"streams": redis.Streams,
}

var modes = map[string]redis.SubscriptionMode{
	"":                redis.Dynamic,
	"dynamic":         redis.Dynamic,
	"static":          redis.Static,
	"dynamic-private": redis.DynamicPrivate,
}

// redisFlags say which servers this one is a cluster with.
type redisFlags struct {
	adapter, mode string
	options       redis.Options
}

// register adds the flags.
func (f *redisFlags) register(flags *flag.FlagSet) {
	o := &f.options
	flags.StringVar(&f.adapter, "adapter", "memory", "memory, or classic, sharded or streams, which need --redis-url")
	flags.Func("redis-url", "URL of a Redis server; repeatable", func(url string) error {
		o.URLs = append(o.URLs, url)
		return nil
	})
	flags.StringVar(&o.Prefix, "channel-prefix", "", "begins the names of channels; default "+redis.DefaultPrefix)
	flags.StringVar(&f.mode, "subscription-mode", "", "of the sharded adapter: static, dynamic (default) or dynamic-private")
	flags.BoolVar(&o.SpecificResponses, "specific-responses", false, "of the classic adapter")
	flags.StringVar(&o.StreamName, "stream-name", "", "of the streams adapter, like those that follow; default "+redis.DefaultStreamName)
	flags.IntVar(&o.StreamCount, "stream-count", 0, "number of streams; default 1")
	flags.IntVar(&o.StreamMaxLen, "stream-max-len", 0, fmt.Sprint("entries of a stream; default ", redis.DefaultStreamMaxLen))
	flags.IntVar(&o.StreamReadCount, "stream-read-count", 0, fmt.Sprint("entries read at a time; default ", redis.DefaultStreamReadCount))
	flags.StringVar(&o.SessionPrefix, "session-prefix", "", "begins the keys of sessions; default "+redis.DefaultSessionPrefix)
	flags.BoolVar(&o.OnlyPlaintext, "only-plaintext", false, "broadcasts have no binary data")
	flags.BoolVar(&o.ShardedPubSub, "sharded-pubsub", false, "requests by sharded pub/sub")
	flags.DurationVar(&o.CommandTimeout, "command-timeout", 0, fmt.Sprint("time for a Redis command; default ", redis.DefaultCommandTimeout))
}

// enabled reports whether there is a cluster.
func (f *redisFlags) enabled() bool { return f.adapter != "memory" }

// check refuses what can't be meant; set are the flags that were given.
func (f *redisFlags) check(set []string) error {
	adapter, ok := adapters[f.adapter]
	switch {
	case !ok && f.enabled():
		return fmt.Errorf("--adapter %s: want memory, classic, sharded or streams", f.adapter)
	case f.enabled() && len(f.options.URLs) == 0:
		return fmt.Errorf("--adapter %s: it needs --redis-url", f.adapter)
	case !f.enabled() && len(f.options.URLs) > 0:
		return errors.New("--redis-url: with --adapter memory there is no Redis")
	}
	f.options.Adapter = adapter
	if f.options.SubscriptionMode, ok = modes[f.mode]; !ok {
		return fmt.Errorf("--subscription-mode %s: want static, dynamic or dynamic-private", f.mode)
	}
	for _, name := range set {
		if only := owner(name); only != "" && only != f.adapter {
			return fmt.Errorf("--%s is for --adapter %s", name, only)
		}
	}
	return nil
}

// owner is the adapter that alone has a flag, or "".
func owner(name string) string {
	switch {
	case name == "subscription-mode":
		return "sharded"
	case name == "specific-responses":
		return "classic"
	case strings.HasPrefix(name, "stream-"), slices.Contains([]string{"session-prefix", "only-plaintext", "sharded-pubsub"}, name):
		return "streams"
	}
	return ""
}
