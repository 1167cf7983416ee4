// Command compare measures wsd beside its peers and prints Markdown tables.
//
// Run it from the root of the repository, on Linux, with at least two CPUs and
// nothing else at work:
//
//	go run ./bench/compare -peers wsd,gws,nbio -case echo20,fan64w16 -reps 3
//
// Each run starts a fresh server pinned to one CPU and the load generator
// bench/wsload pinned to another. Servers take turns inside every repetition,
// so that a ratio compares neighbours in time. A run with a wrong, lost or
// refused message, or with other work on the machine, is thrown away and
// repeated a few times.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// config is one invocation of the command.
type config struct {
	root      string        // the repository
	cases     []loadCase    // rows to run, in table order
	peers     []peer        // servers to run, in the order given
	reference string        // name of the server that ratios refer to
	reps      int           // interleaved repetitions
	attempts  int           // runs of one cell before it is given up
	warmup    time.Duration // load before the measured window
	duration  time.Duration // the measured window
	hold      time.Duration // rest of idle connections before memory is read
	maxOther  float64       // part of a CPU that other work may take
	quiet     time.Duration // longest wait for other work to end before a run
	serverCPU string        // taskset list of a one-processor server; empty: not pinned
	loadCPU   string        // taskset list of the load generator; empty: not pinned
	raw       string        // file for every accepted report as JSON; empty: none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := parseFlags(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	if err := run(ctx, cfg, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// parseFlags reads the command line. Unknown cases and peers are errors.
func parseFlags(args []string, usage io.Writer) (config, error) {
	var cfg config
	var caseNames, peerNames, wsdEcho, wsdTopics string
	var extras []string
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(usage)
	fs.StringVar(&cfg.root, "root", ".", "root of the repository")
	fs.StringVar(&caseNames, "case", "all", "cases to run, comma-separated: "+strings.Join(allCaseNames(), ","))
	fs.StringVar(&peerNames, "peers", "wsd,gws,nbio,bun", "servers to run, comma-separated: "+strings.Join(builtinNames(), ","))
	fs.StringVar(&cfg.reference, "ref", "", "server that ratios refer to; empty: the last one")
	fs.IntVar(&cfg.reps, "reps", 3, "interleaved repetitions")
	fs.IntVar(&cfg.attempts, "attempts", 5, "runs of one cell before it is given up")
	fs.DurationVar(&cfg.warmup, "warmup", 500*time.Millisecond, "load before the measured window")
	fs.DurationVar(&cfg.duration, "duration", 2*time.Second, "measured window")
	fs.DurationVar(&cfg.hold, "hold", 2*time.Second, "rest of idle connections before memory is read")
	fs.Float64Var(&cfg.maxOther, "max-other", 0.05, "part of a CPU that other work may take during a run")
	fs.DurationVar(&cfg.quiet, "quiet", 20*time.Second, "longest wait for other work to end before a run")
	fs.StringVar(&cfg.serverCPU, "server-cpu", "0", "CPU of the server; empty: any")
	fs.StringVar(&cfg.loadCPU, "load-cpu", "1", "CPU of the load generator; empty: any")
	fs.StringVar(&cfg.raw, "json", "", "write every accepted report to this file")
	fs.StringVar(&wsdEcho, "wsd-echo", "bin/wsd echo --listen 127.0.0.1:{port} --loops {loops}", "wsd's command for echo cases")
	fs.StringVar(&wsdTopics, "wsd-topics", "bin/wsd serve --listen 127.0.0.1:{port} --origins '*' --admin-listen off --loops {loops}", "wsd's command for topic cases")
	fs.Func("extra", "another server: name=host:port:pid (running) or name='command with {port}, {compression} (off|shared), {deflate} (false|true), {loops}'; repeatable",
		func(s string) error { extras = append(extras, s); return nil })
	if err := fs.Parse(args); err != nil {
		return cfg, err
	}
	if fs.NArg() > 0 {
		return cfg, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if cfg.reps < 1 || cfg.attempts < 1 {
		return cfg, errors.New("-reps and -attempts must be at least 1")
	}
	var err error
	if cfg.cases, err = selectCases(caseNames); err != nil {
		return cfg, err
	}
	if cfg.peers, err = selectPeers(peerNames, wsdEcho, wsdTopics); err != nil {
		return cfg, err
	}
	for _, s := range extras {
		p, err := parseExtra(s)
		if err != nil {
			return cfg, err
		}
		cfg.peers = append(cfg.peers, p)
	}
	if len(cfg.peers) == 0 {
		return cfg, errors.New("no server selected")
	}
	if err := checkNames(&cfg); err != nil {
		return cfg, err
	}
	cfg.cases = slices.DeleteFunc(cfg.cases, func(c loadCase) bool {
		return !slices.ContainsFunc(cfg.peers, func(p peer) bool { return p.serves(c) })
	})
	if len(cfg.cases) == 0 {
		return cfg, errors.New("none of the servers is for one of the cases")
	}
	return cfg, nil
}

// checkNames makes sure that each server has a name of its own and that the
// reference is one of them.
func checkNames(cfg *config) error {
	seen := map[string]bool{}
	for _, p := range cfg.peers {
		if seen[p.name] {
			return fmt.Errorf("server %q is given twice", p.name)
		}
		seen[p.name] = true
	}
	if cfg.reference == "" {
		cfg.reference = cfg.peers[len(cfg.peers)-1].name
	}
	if !seen[cfg.reference] {
		return fmt.Errorf("-ref %q is not among the servers", cfg.reference)
	}
	return nil
}

// run builds what is needed, measures every cell, and prints the tables.
func run(ctx context.Context, cfg config, out, progress io.Writer) error {
	scratch, err := os.MkdirTemp("", "wsd-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	load, err := prepare(ctx, cfg, scratch)
	if err != nil {
		return err
	}
	res := results{}
	var failed []string
	for rep := range cfg.reps {
		for _, c := range cfg.cases {
			for i := range cfg.peers {
				p := cfg.peers[(i+rep)%len(cfg.peers)]
				if !p.serves(c) {
					continue
				}
				r, err := measure(ctx, cfg, load, c, p, progress)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil {
					failed = append(failed, fmt.Sprintf("%s %s: %v", c.name, p.name, err))
					fmt.Fprintf(progress, "%-14s %-12s given up: %v\n", c.name, p.name, err)
					continue
				}
				res.add(c.name, p.name, rep, r)
				fmt.Fprintf(progress, "%-14s %-12s %d/%d %s\n", c.name, p.name, rep+1, cfg.reps, r.short())
			}
		}
	}
	writeTables(out, cfg, res)
	if err := writeRaw(cfg.raw, res); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d runs given up:\n  %s", len(failed), strings.Join(failed, "\n  "))
	}
	return nil
}

// prepare builds the load generator and the servers that were asked for, and
// returns the path of the load generator.
func prepare(ctx context.Context, cfg config, scratch string) (string, error) {
	load := filepath.Join(scratch, "wsload")
	src := filepath.Join(cfg.root, "bench", "wsload", "wsload.c")
	if err := command(ctx, cfg.root, "cc", "-O3", "-march=native", "-std=gnu11", "-w", "-o", load, src, "-lz"); err != nil {
		return "", err
	}
	wanted := map[peerKind]bool{}
	for i := range cfg.peers {
		p := &cfg.peers[i]
		wanted[p.kind] = true
		for _, cmd := range []*string{&p.echo, &p.topics, &p.sio} {
			*cmd = strings.ReplaceAll(*cmd, "{scratch}", scratch)
		}
	}
	for _, b := range []struct {
		kind           peerKind
		dir, pkg, name string
	}{
		{kindGo, "bench/peers", ".", "peers"},
		{kindGoSIO, "bench/peers", "./sio", "siopeer"},
		{kindWsdSIO, ".", "./bench/sioserver", "sioserver"},
	} {
		if !wanted[b.kind] {
			continue
		}
		if err := command(ctx, filepath.Join(cfg.root, b.dir), "go", "build", "-o", filepath.Join(scratch, b.name), b.pkg); err != nil {
			return "", err
		}
	}
	if wanted[kindNode] {
		dir := filepath.Join(cfg.root, "bench", "peers", "node")
		if _, err := os.Stat(filepath.Join(dir, "node_modules")); err != nil {
			if err := command(ctx, dir, "npm", "ci", "--no-audit", "--no-fund"); err != nil {
				return "", err
			}
		}
	}
	return load, nil
}

// command runs a build step in dir and puts its output into the error.
func command(ctx context.Context, dir, name string, args ...string) error {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	for i, a := range args {
		if strings.HasSuffix(a, ".c") {
			if abs, err := filepath.Abs(a); err == nil {
				args[i] = abs
			}
		}
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, text)
	}
	return nil
}

// writeRaw stores all accepted reports, so that figures can be checked later.
func writeRaw(path string, res results) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(res, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
