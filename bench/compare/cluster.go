package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// pair is two servers of one cluster with the Redis between them, all on the
// server's CPU. Publishers are on the first server, subscribers on the second.
type pair struct {
	redis, first, second *server
}

// startPair starts a Redis of its own and two servers of p that share it.
func startPair(ctx context.Context, cfg config, c loadCase, p peer) (_ *pair, err error) {
	s := &pair{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	redis := peer{name: "redis", sio: "redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no"}
	if s.redis, err = launch(ctx, cfg, c, redis.name, redis.command(c, port, ""), port); err != nil {
		return nil, err
	}
	for _, node := range []**server{&s.first, &s.second} {
		if *node, err = startServer(ctx, cfg, c, p, "redis://127.0.0.1:"+port); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *pair) stop() {
	for _, one := range []*server{s.second, s.first, s.redis} {
		if one != nil {
			one.stop()
		}
	}
}

// pids are the second server's, the first's and Redis's: the order of
// report.ByPID.
func (s *pair) pids() string {
	return fmt.Sprintf("%d,%d,%d", s.second.pid, s.first.pid, s.redis.pid)
}

// load measures one run, and counts what Redis was asked meanwhile.
func (s *pair) load(ctx context.Context, cfg config, program string, c loadCase) (*report, error) {
	if _, err := s.ask(ctx, "CONFIG", "RESETSTAT"); err != nil {
		return nil, err
	}
	args := append(c.loadArgs(cfg, s.second.host, s.second.port, s.pids()), "--pub-port", s.first.port)
	r, err := runLoad(ctx, cfg, program, args)
	if err != nil {
		return nil, err
	}
	stats, err := s.ask(ctx, "INFO", "commandstats")
	if err != nil {
		return nil, err
	}
	r.Commands = countCommands(stats)
	return r, nil
}

// carrying are the commands that carry messages; others, such as those of probes
// and subscriptions, do not depend on how much is published.
var carrying = []string{"publish", "spublish", "xadd", "xread", "evalsha", "multi", "exec", "xinfo"}

// countCommands adds the calls of the carrying commands in an INFO answer.
func countCommands(info string) (calls float64) {
	for line := range strings.Lines(info) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		for _, c := range carrying {
			if strings.EqualFold(name, c) || strings.HasPrefix(name, c+"|") {
				n, _, _ := strings.Cut(rest, ",")
				k, _ := strconv.ParseFloat(n, 64) // Redis writes numbers
				calls += k
			}
		}
	}
	return calls
}

// ask sends Redis one command and returns its answer.
func (s *pair) ask(ctx context.Context, args ...string) (string, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.redis.host, s.redis.port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", strings.Join(args, " ")); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	line, err := in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSpace(line)
	switch line[:min(1, len(line))] {
	case "-":
		return "", errors.New(line)
	case "$":
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 {
			return "", fmt.Errorf("redis answers %q", line)
		}
		b := make([]byte, n)
		_, err = io.ReadFull(in, b)
		return string(b), err
	}
	return line, nil
}
