package bench

import (
	"fmt"
	"net"
	"net/url"
	"time"
)

// Mode says what a run does.
type Mode string

// The modes of a run.
const (
	Echo   Mode = "echo"
	Paced  Mode = "paced"
	Fanout Mode = "fanout"
	Idle   Mode = "idle"
)

// Config describes one run. Zero values mean the defaults given here.
type Config struct {
	Mode Mode // empty: Echo
	// URL is where connections go, ws:// only. Empty: port 3000 on this
	// machine, /topics/bench for Fanout and /echo otherwise.
	URL string
	// PublishURL is where publishers go. Empty: URL; then publishers are
	// subscribers too, and must hear each other but never themselves.
	// Otherwise they must hear nothing.
	PublishURL string
	// Connections to hold; the subscribers in Fanout. 0: 100, in Fanout 1,000.
	Connections int
	Publishers  int // Fanout; 0: 1
	InFlight    int // Echo: messages outstanding on each connection; 0: 1
	Window      int // Fanout without Rate: publications outstanding; 0: 1
	// Rate is messages per second over all connections in Paced (0: 1,000),
	// publications per second in Fanout (0: closed loop).
	Rate float64
	// Size is the payload in bytes, before deflate. 0: 20, in Fanout and Idle
	// 64. Fanout needs at least 17; messages of fewer than 16 bytes carry the
	// last digits of their number only.
	Size     int
	Binary   bool // send binary messages; zero: text
	Deflate  bool // negotiate permessage-deflate without context takeover, compress what is sent
	Messages int  // Idle: messages echoed on each connection before it rests

	Warmup   time.Duration // load before measuring; 0: 500 ms; negative: none
	Duration time.Duration // measured time, in Idle the rest; 0: 5 s
	// Timeout bounds the connecting, the subscribing, and the wait for the
	// last pong at the end; 0: 10 s.
	Timeout time.Duration
	// PID is the server's process, for its CPU time and memory; 0: unknown.
	PID int
}

const (
	headDigits  = 16             // hexadecimal digits of sender and sequence number
	minFanout   = headDigits + 1 // and the kind
	maxSize     = 64 << 20
	maxSenders  = 1 << 24
	maxInFlight = 1 << 16
)

// withDefaults fills zero values and checks the rest.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Mode, Echo)
	fanout := c.Mode == Fanout
	setDefault(&c.Connections, pick(fanout, 1000, 100))
	setDefault(&c.Publishers, 1)
	setDefault(&c.InFlight, 1)
	setDefault(&c.Window, 1)
	setDefault(&c.Size, pick(fanout || c.Mode == Idle, 64, 20))
	setDefault(&c.Rate, pick(c.Mode == Paced, 1000.0, 0))
	setDefault(&c.Warmup, 500*time.Millisecond)
	setDefault(&c.Duration, 5*time.Second)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.URL, "ws://127.0.0.1:3000"+pick(fanout, "/topics/bench", "/echo"))
	c.Warmup = max(c.Warmup, 0)
	return c, c.check()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

func (c Config) check() error {
	switch c.Mode {
	case Echo, Paced, Fanout, Idle:
	default:
		return fmt.Errorf("%w: unknown mode %q", ErrConfig, c.Mode)
	}
	for _, n := range []struct {
		name          string
		v, least, top int
	}{
		{"connections", c.Connections, 1, maxSenders},
		{"publishers", c.Publishers, 1, maxSenders},
		{"messages in flight", c.InFlight, 1, maxInFlight},
		{"window", c.Window, 1, maxInFlight},
		{"size", c.Size, pick(c.Mode == Fanout, minFanout, 1), maxSize},
		{"messages", c.Messages, 0, maxInFlight},
	} {
		if n.v < n.least || n.v > n.top {
			return fmt.Errorf("%w: %s %d is not within %d and %d", ErrConfig, n.name, n.v, n.least, n.top)
		}
	}
	if c.Rate < 0 || c.Duration < 0 || c.Timeout < 0 {
		return fmt.Errorf("%w: rate, duration and timeout must not be negative", ErrConfig)
	}
	for _, s := range []string{c.URL, c.PublishURL} {
		if _, err := parseTarget(s); s != "" && err != nil {
			return err
		}
	}
	return nil
}

// target is where a connection goes.
type target struct {
	addr string // host:port to dial
	host string // Host field
	path string // request target
}

func parseTarget(s string) (target, error) {
	u, err := url.Parse(s)
	if err != nil {
		return target{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if u.Scheme != "ws" || u.Hostname() == "" {
		return target{}, fmt.Errorf("%w: %q is not a ws:// URL", ErrConfig, s)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return target{addr: net.JoinHostPort(u.Hostname(), port), host: u.Host, path: u.RequestURI()}, nil
}
