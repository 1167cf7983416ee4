package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// unhurried is how long things may take with --patient.
const unhurried = 2 * time.Minute

// config is what the flags say.
type config struct {
	listen, path string
	namespaces   []string
	engine       engineio.Options
	connect      time.Duration
	handshake    time.Duration // 0: as usual
	parser       socketio.Parser
	recovery     time.Duration // 0: off
	request      time.Duration
	serverID     string
	redis        redisFlags
}

// parse reads the command line.
func parse(args []string, stderr io.Writer) (*config, error) {
	var cfg config
	flags := flag.NewFlagSet("sioserver", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.listen, "listen", "127.0.0.1:3000", "address to listen on")
	flags.StringVar(&cfg.path, "path", "/socket.io/", "path of the Socket.IO server")
	flags.DurationVar(&cfg.engine.PingInterval, "ping-interval", engineio.DefaultPingInterval, "time between heartbeats")
	flags.DurationVar(&cfg.engine.PingTimeout, "ping-timeout", engineio.DefaultPingTimeout, "time to answer one")
	patient := flags.Bool("patient", false, "give clients two minutes for a request, and for a WebSocket to replace polling")
	flags.IntVar(&cfg.engine.MaxPayload, "max-payload", engineio.DefaultMaxPayload, "largest message, in bytes")
	flags.BoolVar(&cfg.engine.AllowEIO3, "allow-eio3", false, "serve clients of Socket.IO 2")
	flags.DurationVar(&cfg.connect, "connect-timeout", socketio.DefaultConnectTimeout, "time to join a namespace")
	flags.DurationVar(&cfg.recovery, "recovery", 0, "how long sessions can be recovered; 0: off")
	flags.DurationVar(&cfg.request, "request-timeout", socketio.DefaultRequestTimeout, "time for answers of other nodes")
	namespaces := flags.String("namespaces", "/,/custom", "the namespaces, separated by commas")
	origins := flags.String("cors-origin", "", "origins that may read the answers, separated by commas, or *")
	parser := flags.String("parser", "json", "json or msgpack")
	flags.StringVar(&cfg.serverID, "server-id", "", "this server's name; with --redis-url its users are known by it to the others")
	cfg.redis.register(flags)
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch *parser {
	case "json":
	case "msgpack":
		cfg.parser = socketio.Msgpack
	default:
		return nil, fmt.Errorf("--parser %s: want json or msgpack", *parser)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var set []string
	flags.Visit(func(f *flag.Flag) { set = append(set, f.Name) })
	if err := cfg.redis.check(set); err != nil {
		return nil, err
	}
	if *patient {
		cfg.handshake, cfg.engine.UpgradeTimeout = unhurried, unhurried
	}
	cfg.engine.ServerID, cfg.redis.options.Server = cfg.serverID, cfg.serverID
	cfg.namespaces = strings.Split(*namespaces, ",")
	if *origins != "" {
		cfg.engine.CORS = &engineio.CORS{Origins: strings.Split(*origins, ",")}
	}
	return &cfg, nil
}

// options are the server's; b joins it with others, or is nil.
func (c *config) options(b *redis.Broker) socketio.Options {
	opts := socketio.Options{
		Engine:         c.engine,
		ConnectTimeout: c.connect,
		Parser:         c.parser,
		RequestTimeout: c.request,
	}
	if b != nil {
		opts.Cluster = b.Cluster()
		if c.serverID != "" {
			opts.Presence, opts.ServerID = b.Presence(), c.serverID
		}
	}
	if c.recovery > 0 {
		opts.Recovery = &socketio.RecoveryOptions{MaxDisconnection: c.recovery}
	}
	return opts
}
