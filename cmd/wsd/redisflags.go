package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/internal/auth"
)

// redisFlags say with which other servers this one is a cluster.
type redisFlags struct {
	Adapter           string        `name:"adapter" enum:"memory,classic,sharded,streams" default:"memory" help:"How servers reach each other: memory (this one is alone), or over Redis as Node's servers do with the classic, sharded or streams adapter. All use the same. Default ${default}."`
	RedisURL          []string      `name:"redis-url" sep:"none" placeholder:"URL" help:"Redis: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://. Repeatable; several may also be separated by spaces. Default: REDIS_URL."`
	RedisURLFile      string        `name:"redis-url-file" placeholder:"FILE" help:"File with those URLs, one a line: they hold a password. Default: REDIS_URL_FILE."`
	ChannelPrefix     string        `name:"channel-prefix" placeholder:"TEXT" help:"What the names of channels begin with: Node's key (classic) or channelPrefix. Default socket.io."`
	SubscriptionMode  string        `name:"subscription-mode" enum:",static,dynamic,dynamic-private" default:"" help:"With --adapter sharded, which rooms have a channel: static (none), dynamic (all but sockets' own) or dynamic-private. Default dynamic."`
	SpecificResponses bool          `name:"specific-responses" help:"With --adapter classic, answer on channels of the servers that ask: Node's publishOnSpecificResponseChannel."`
	StreamName        string        `name:"stream-name" placeholder:"NAME" help:"With --adapter streams, the stream's key. Default socket.io."`
	StreamCount       int           `name:"stream-count" placeholder:"N" help:"With --adapter streams, the number of streams. Default 1."`
	StreamMaxLen      int           `name:"stream-max-len" placeholder:"N" help:"With --adapter streams, how many entries a stream keeps, about. Default 10000."`
	StreamReadCount   int           `name:"stream-read-count" placeholder:"N" help:"With --adapter streams, how many entries are read at a time. Default 100."`
	SessionPrefix     string        `name:"session-prefix" placeholder:"TEXT" help:"With --adapter streams, what the keys of sessions that may be recovered begin with. Default sio:session:."`
	ShardedPubSub     bool          `name:"sharded-pubsub" help:"With --adapter streams, questions and answers go by sharded pub/sub: Node's useShardedPubSub."`
	OnlyPlaintext     bool          `name:"only-plaintext" help:"With --adapter streams, events have no binary data: Node's onlyPlaintext."`
	Durable           []string      `name:"durable" sep:"none" placeholder:"PATTERN=MESSAGES,AGE" help:"Keep the newest messages of topics that match, up to a number, an age, or both: 'news/**=1000,24h', in Redis or with --adapter memory as long as the process lives. Patterns are those of --sio-allow-join; the first that matches counts. The same on all servers. Repeatable. Default: none."`
	RequestTimeout    time.Duration `name:"request-timeout" default:"5s" help:"How long answers of other servers, and acknowledgements of broadcasts, are awaited. Default ${default}."`
	CommandTimeout    time.Duration `name:"redis-command-timeout" default:"3s" help:"How long Redis may take for a command. Default ${default}."`
}

var adapters = map[string]redis.Adapter{
	"classic": redis.Classic,
	"sharded": redis.Sharded,
	"streams": redis.Streams,
}

var subscriptionModes = map[string]redis.SubscriptionMode{
	"":                redis.Dynamic,
	"dynamic":         redis.Dynamic,
	"static":          redis.Static,
	"dynamic-private": redis.DynamicPrivate,
}

// enabled reports whether there is a cluster.
func (f *redisFlags) enabled() bool { return f.Adapter != "memory" }

// check refuses what can't be meant.
func (f *redisFlags) check() error {
	if f.RequestTimeout <= 0 || f.CommandTimeout <= 0 {
		return usageError(errors.New("--request-timeout and --redis-command-timeout: want more than 0"))
	}
	if _, err := parseDurables(f.Durable); err != nil {
		return usageError(err)
	}
	if !f.enabled() {
		return f.checkAlone()
	}
	for _, x := range []struct {
		flag, adapter string
		given         bool
	}{
		{"--subscription-mode", "sharded", f.SubscriptionMode != ""},
		{"--specific-responses", "classic", f.SpecificResponses},
		{"--stream-name", "streams", f.StreamName != ""},
		{"--stream-count", "streams", f.StreamCount != 0},
		{"--stream-max-len", "streams", f.StreamMaxLen != 0},
		{"--stream-read-count", "streams", f.StreamReadCount != 0},
		{"--session-prefix", "streams", f.SessionPrefix != ""},
		{"--sharded-pubsub", "streams", f.ShardedPubSub},
		{"--only-plaintext", "streams", f.OnlyPlaintext},
	} {
		if x.given && f.Adapter != x.adapter {
			return usageError(fmt.Errorf("%s is for --adapter %s, and this is %s", x.flag, x.adapter, f.Adapter))
		}
	}
	if min(f.StreamCount, f.StreamMaxLen, f.StreamReadCount) < 0 {
		return usageError(errors.New("--stream-count, --stream-max-len and --stream-read-count: want more than 0"))
	}
	urls, err := f.urls()
	if err != nil {
		return usageError(err)
	}
	if _, err := redis.ParseURLs(urls); err != nil {
		return usageError(fmt.Errorf("--redis-url: %w", err))
	}
	return nil
}

// checkAlone is check without a cluster. REDIS_URL may be another program's, but
// a flag is meant.
func (f *redisFlags) checkAlone() error {
	switch {
	case len(f.RedisURL) > 0 || f.RedisURLFile != "":
		return usageError(errors.New("--redis-url: say how it is used: --adapter classic, sharded or streams (memory uses no Redis)"))
	case f.ChannelPrefix != "" || f.SubscriptionMode != "" || f.SpecificResponses || f.StreamName != "" ||
		f.StreamCount != 0 || f.StreamMaxLen != 0 || f.StreamReadCount != 0 || f.SessionPrefix != "" || f.ShardedPubSub || f.OnlyPlaintext:
		return usageError(errors.New("--channel-prefix, --subscription-mode, --specific-responses, --stream-*, --session-prefix, --sharded-pubsub and --only-plaintext: with --adapter memory they mean nothing"))
	}
	return nil
}

// urls are where Redis is: by flag, or else by the environment.
func (f *redisFlags) urls() ([]string, error) {
	given, file := f.RedisURL, f.RedisURLFile
	if len(given) == 0 && file == "" {
		given, file = []string{os.Getenv("REDIS_URL")}, os.Getenv("REDIS_URL_FILE")
	}
	all := strings.Fields(strings.Join(given, " "))
	switch {
	case len(all) > 0 && file != "":
		return nil, errors.New("--redis-url and --redis-url-file (or REDIS_URL and REDIS_URL_FILE): want one")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--redis-url-file: %w", err)
		}
		all = strings.Fields(string(bytes.TrimPrefix(text, []byte("\ufeff"))))
		if len(all) == 0 {
			return nil, fmt.Errorf("--redis-url-file %s: it is empty", file)
		}
	case len(all) == 0:
		return nil, fmt.Errorf("--adapter %s: it needs --redis-url, or REDIS_URL in the environment", f.Adapter)
	}
	return all, nil
}

// options are those of the broker, of a server with a name.
func (f *redisFlags) options(server string, log *slog.Logger) (redis.Options, error) {
	urls, err := f.urls()
	if err != nil {
		return redis.Options{}, err
	}
	durable, err := parseDurables(f.Durable)
	if err != nil {
		return redis.Options{}, err
	}
	return redis.Options{
		URLs:              urls,
		Server:            server,
		Adapter:           adapters[f.Adapter],
		Prefix:            f.ChannelPrefix,
		SubscriptionMode:  subscriptionModes[f.SubscriptionMode],
		SpecificResponses: f.SpecificResponses,
		StreamName:        f.StreamName,
		StreamCount:       f.StreamCount,
		StreamMaxLen:      f.StreamMaxLen,
		StreamReadCount:   f.StreamReadCount,
		SessionPrefix:     f.SessionPrefix,
		ShardedPubSub:     f.ShardedPubSub,
		OnlyPlaintext:     f.OnlyPlaintext,
		Durable:           durable.find(),
		CommandTimeout:    f.CommandTimeout,
		Logger:            log,
	}, nil
}

// durable is one --durable.
type durable struct {
	pattern auth.Pattern
	keep    broker.Retention
}

// durables are all of them; the first that matches a topic counts.
type durables []durable

// find is redis.Options.Durable, nil for none.
func (ds durables) find() func(topic string) (broker.Retention, bool) {
	if len(ds) == 0 {
		return nil
	}
	return func(topic string) (broker.Retention, bool) {
		for i := range ds {
			if ds[i].pattern.Match(topic, "") {
				return ds[i].keep, true
			}
		}
		return broker.Retention{}, false
	}
}

func parseDurables(given []string) (durables, error) {
	var all durables
	for _, text := range given {
		d, err := parseDurable(text)
		if err != nil {
			return nil, fmt.Errorf("--durable %s: %w", text, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// parseDurable reads PATTERN=MESSAGES,AGE, of which one of the latter may lack.
func parseDurable(text string) (durable, error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return durable{}, errors.New("want PATTERN=MESSAGES,AGE")
	}
	pattern, err := auth.ParsePattern(text[:at])
	if err != nil {
		return durable{}, err
	}
	d := durable{pattern: pattern}
	if strings.Contains(text[:at], "{sub}") {
		return d, errors.New("{sub} means nothing here: topics have no user")
	}
	for _, limit := range strings.Split(text[at+1:], ",") {
		messages, notNumber := strconv.Atoi(limit)
		age, notAge := time.ParseDuration(limit)
		switch {
		case notNumber == nil && messages > 0 && d.keep.Messages == 0:
			d.keep.Messages = messages
		case notNumber != nil && notAge == nil && age > 0 && d.keep.Age == 0:
			d.keep.Age = age
		default:
			return d, fmt.Errorf("%q: want a number of messages, an age such as 24h, or both with a comma between them", limit)
		}
	}
	return d, nil
}
