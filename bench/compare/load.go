package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// report is the line of JSON that the load generator prints.
// Times are in microseconds, memory in bytes or KiB as named.
type report struct {
	Mode     string  `json:"mode"`
	Messages float64 `json:"msgs"`
	PerSec   float64 `json:"msgs_per_s"`
	RxMBps   float64 `json:"rx_MBps"`
	Latency  struct {
		P50  float64 `json:"p50"`
		P99  float64 `json:"p99"`
		P999 float64 `json:"p999"`
	} `json:"lat_us"`
	CPU      float64 `json:"srv_cpu_us_per_msg"`
	CPUFrac  float64 `json:"srv_cpu_frac"`
	CPUSec   float64 `json:"srv_cpu_s"`
	UserSec  float64 `json:"srv_usr_s"`
	Other    float64 `json:"other_cpu_frac"`
	Steal    float64 `json:"steal_frac"`
	RSS      float64 `json:"srv_rss_kb"`
	Instr    float64 `json:"instr_per_msg"`
	UserIns  float64 `json:"instr_user_per_msg"`
	Cycles   float64 `json:"cycles_per_msg"`
	HSPerSec float64 `json:"hs_per_s"`
	HSCPU    float64 `json:"srv_cpu_us_per_hs"`
	PerConn  float64 `json:"rss_per_conn_bytes"`
	RSSAfter float64 `json:"rss_after_kb"`

	// Of a pair: seconds of the second server, the first and Redis, and commands
	// that carried messages, in the whole run.
	ByPID        []float64 `json:"srv_cpu_s_by_pid"`
	Publications float64   `json:"publications"`
	Published    float64   `json:"publications_all"`
	Commands     float64   `json:"redis_commands"`

	Conns      int    `json:"conns"`
	Open       int    `json:"open"`
	Mismatch   int    `json:"mismatch"`
	Unexpected int    `json:"unexpected"`
	Lost       int    `json:"lost"`
	Closed     int    `json:"closed"`
	Failed     int    `json:"failed"`
	Overrun    int    `json:"overrun"`
	Err        string `json:"err"`
	Ext        string `json:"ext"`
}

// errBusy marks a run that other work on the machine has spoiled.
var errBusy = errors.New("other work on the machine")

// verdict is nil when the report of p may enter the table.
func (r *report) verdict(c loadCase, p peer, maxOther float64) error {
	switch {
	case r.Mismatch != 0 && !(p.reorders && c.inFlight):
		return fmt.Errorf("%d wrong messages", r.Mismatch)
	case r.Lost != 0:
		return fmt.Errorf("%d deliveries lost", r.Lost)
	case r.Unexpected != 0:
		return fmt.Errorf("%d unexpected messages", r.Unexpected)
	case r.Failed != 0 || r.Closed != 0:
		return fmt.Errorf("%d connections failed, %d closed early (%s)", r.Failed, r.Closed, r.Err)
	case r.Overrun != 0:
		return fmt.Errorf("%d sends skipped: the server cannot keep up", r.Overrun)
	case c.deflate && !strings.Contains(r.Ext, "permessage-deflate"):
		return errors.New("server did not negotiate permessage-deflate")
	case c.family != idle && r.count() == 0:
		return errors.New("no messages")
	case r.Other > maxOther:
		return fmt.Errorf("%w: %.0f %% of a CPU", errBusy, 100*r.Other)
	}
	return nil
}

// count is the number of finished units of work a second.
func (r *report) count() float64 {
	if r.Mode == "handshake" {
		return r.HSPerSec
	}
	return r.PerSec
}

// cpu is the server's processor time per unit of work in microseconds.
func (r *report) cpu() float64 {
	if r.Mode == "handshake" {
		return r.HSCPU
	}
	return r.CPU
}

// perCPUSecond is the units of work for a second of the servers' processors.
func (r *report) perCPUSecond() float64 {
	if r.cpu() == 0 {
		return 0
	}
	return 1e6 / r.cpu()
}

// cpuOf is microseconds of one process of a pair, as in ByPID, per publication.
func cpuOf(i int) figure {
	return func(r *report) float64 {
		if i >= len(r.ByPID) || r.Publications == 0 {
			return 0
		}
		return 1e6 * r.ByPID[i] / r.Publications
	}
}

// commandsPerPublication are Redis's; commandsPerDelivery those by subscriber.
func (r *report) commandsPerPublication() float64 {
	if r.Published == 0 {
		return 0
	}
	return r.Commands / r.Published
}

func (r *report) commandsPerDelivery() float64 {
	return r.commandsPerPublication() / float64(max(r.Conns, 1))
}

// userShare is the part of the server's processor time spent in user mode.
// The kernel samples it at clock ticks: coarse, but free.
func (r *report) userShare() float64 {
	if r.CPUSec == 0 {
		return 0
	}
	return r.UserSec / r.CPUSec
}

// bytesPerMessage is the mean payload received, as it was on the wire.
func (r *report) bytesPerMessage() float64 {
	if r.PerSec == 0 {
		return 0
	}
	return r.RxMBps * 1e6 / r.PerSec
}

// short is the progress line of one run.
func (r *report) short() string {
	if r.Mode == "idle" {
		return fmt.Sprintf("%.0f B/connection", r.PerConn)
	}
	s := fmt.Sprintf("%.0f/s, CPU %.2f us, p50 %.0f us, p99 %.0f us, other %.3f", r.count(), r.cpu(), r.Latency.P50, r.Latency.P99, r.Other)
	if r.Instr > 0 {
		s += fmt.Sprintf(", %.0f instructions (%.0f user)", r.Instr, r.UserIns)
	}
	return s
}

// measure fills one cell for one repetition: it repeats a spoiled run up to
// cfg.attempts times, each time with a fresh server.
func measure(ctx context.Context, cfg config, load string, c loadCase, p peer, progress io.Writer) (*report, error) {
	var last error
	for attempt := range cfg.attempts {
		if attempt > 0 {
			fmt.Fprintf(progress, "%-14s %-12s again: %v\n", c.name, p.name, last)
			if err := pause(ctx, time.Duration(attempt)*time.Second); err != nil {
				return nil, err
			}
		}
		r, err := runOnce(ctx, cfg, load, c, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			err = r.verdict(c, p, cfg.maxOther)
		}
		if err == nil {
			return r, nil
		}
		last = err
	}
	return nil, last
}

// pause waits for d, so that other work may end before the next attempt.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// runOnce starts a server, or a pair of them, loads it once, and ends it.
func runOnce(ctx context.Context, cfg config, load string, c loadCase, p peer) (*report, error) {
	if err := awaitQuiet(ctx, cfg.maxOther, cfg.quiet); err != nil {
		return nil, err
	}
	patience := 2*time.Minute + cfg.warmup + c.window(cfg) + cfg.hold
	if c.adapter != "" {
		s, err := startPair(ctx, cfg, c, p)
		if err != nil {
			return nil, err
		}
		defer s.stop()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return s.load(ctx, cfg, load, c)
	}
	s, err := startServer(ctx, cfg, c, p, "")
	if err != nil {
		return nil, err
	}
	defer s.stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if c.sessions > 0 {
		return holdPolling(ctx, net.JoinHostPort(s.host, s.port), s.pid, c.sessions, cfg.hold)
	}
	return runLoad(ctx, cfg, load, c.loadArgs(cfg, s.host, s.port, strconv.Itoa(s.pid)))
}

// runLoad runs the load generator once.
func runLoad(ctx context.Context, cfg config, load string, args []string) (*report, error) {
	argv := pinned(cfg.loadCPU, append([]string{load}, args...)...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		if runErr != nil {
			err = runErr
		}
		return nil, fmt.Errorf("load generator: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return &r, nil
}
