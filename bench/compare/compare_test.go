package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// listenEnv makes the test binary a server that only accepts connections.
const listenEnv = "WSD_COMPARE_TEST_LISTEN"

func TestMain(m *testing.M) {
	if addr := os.Getenv(listenEnv); addr != "" {
		serveAccepts(addr)
	}
	os.Exit(testkit.CheckLeaks(m))
}

func serveAccepts(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		if c, err := ln.Accept(); err == nil {
			c.Close()
		}
	}
}

func TestFlags(t *testing.T) {
	tests := []struct {
		args  string
		cases string // names, or the text of the error after "!"
		peers string
		ref   string
	}{
		{"-case echo20,fan64w16 -peers wsd,gws", "echo20 fan64w16", "wsd gws", "gws"},
		{"-case paced* -peers bun -ref bun", "paced2k paced15k paced2kx2 paced15kx2", "bun", "bun"},
		{"-case idle -peers= -extra x=127.0.0.1:9:8", "idle", "x", "x"},
		{"-case all -peers wsd-sio,node-sio -ref node-sio", "sioecho sioechop16 sioroom sioroomrate xclassic xsharded xstreams xclassicrate xshardedrate xstreamsrate sioidle sioidlepoll", "wsd-sio node-sio", "node-sio"},
		{"-case sioidle,echo20 -peers bun", "echo20", "bun", "bun"},
		{"-case sio* -peers bun", "!none of the servers", "", ""},
		{"-case sioidle -peers= -extra x=a{port}", "sioidle", "x", "x"},
		{"-case echo20 -peers wsd -ref gws", "!-ref", "", ""},
		{"-case nothing", "!unknown case", "", ""},
		{"-peers nobody", "!unknown server", "", ""},
		{"-peers wsd,wsd", "!given twice", "", ""},
		{"-peers=", "!no server", "", ""},
		{"-reps 0", "!at least 1", "", ""},
		{"-extra x", "!want name=", "", ""},
		{"-extra x=true", "!no {port}", "", ""},
		{"stray", "!unexpected argument", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			cfg, err := parseFlags(strings.Fields(tt.args), io.Discard)
			if text, bad := strings.CutPrefix(tt.cases, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Fatalf("err = %v, want %q", err, text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var cases, peers []string
			for _, c := range cfg.cases {
				cases = append(cases, c.name)
			}
			for _, p := range cfg.peers {
				peers = append(peers, p.name)
			}
			if got := strings.Join(cases, " "); got != tt.cases {
				t.Errorf("cases %q", got)
			}
			if got := strings.Join(peers, " "); got != tt.peers || cfg.reference != tt.ref {
				t.Errorf("peers %q, reference %q", got, cfg.reference)
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	p, err := parseExtra("x=serve {port} {compression} {deflate} {loops}")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.command(loadCase{deflate: true, procs: 2, loops: 2}, "99", ""); got != "serve 99 shared true 2" {
		t.Errorf("got %q", got)
	}
	p = peer{echo: "a {port}", topics: "b {port}", sio: "c {port}"}
	if got := p.command(loadCase{topics: true, procs: 1}, "7", ""); got != "b 7" {
		t.Errorf("got %q", got)
	}
	if got := p.command(loadCase{sio: true, procs: 1}, "7", ""); got != "c 7" {
		t.Errorf("got %q", got)
	}
}

func TestVerdict(t *testing.T) {
	const good = `"mode":"echo","msgs_per_s":10,"other_cpu_frac":0.01`
	echo, deflated, held := loadCase{}, loadCase{deflate: true}, loadCase{family: idle}
	pipelined := loadCase{inFlight: true}
	tests := []struct {
		json string
		c    loadCase
		p    peer
		want string // part of the error; empty: accepted
	}{
		{good, echo, peer{}, ""},
		{good + `,"ext":"permessage-deflate"`, deflated, peer{}, ""},
		{`"mode":"handshake","hs_per_s":5`, echo, peer{}, ""},
		{`"mode":"idle"`, held, peer{}, ""},
		{good + `,"mismatch":1`, echo, peer{}, "wrong messages"},
		{good + `,"mismatch":1`, pipelined, peer{}, "wrong messages"},
		{good + `,"mismatch":1`, pipelined, peer{reorders: true}, ""},
		{good + `,"mismatch":1`, echo, peer{reorders: true}, "wrong messages"},
		{good + `,"lost":1`, echo, peer{}, "lost"},
		{good + `,"unexpected":1`, echo, peer{}, "unexpected"},
		{good + `,"closed":1`, echo, peer{}, "closed early"},
		{good + `,"failed":1`, held, peer{}, "failed"},
		{good + `,"overrun":1`, echo, peer{}, "keep up"},
		{good, deflated, peer{}, "negotiate"},
		{`"mode":"echo"`, echo, peer{}, "no messages"},
		{`"mode":"echo","msgs_per_s":10,"other_cpu_frac":0.06`, echo, peer{}, "other work"},
	}
	for _, tt := range tests {
		var r report
		if err := json.Unmarshal([]byte("{"+tt.json+"}"), &r); err != nil {
			t.Fatal(err)
		}
		err := r.verdict(tt.c, tt.p, 0.05)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.json, err, tt.want)
		}
		if errors.Is(err, errBusy) != (tt.want == "other work") {
			t.Errorf("%s: errBusy does not tell", tt.json)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// TestTable has a machine that becomes slower: ratios compare neighbours, and
// a repetition that the reference lacks does not count.
func TestTable(t *testing.T) {
	cfg := config{cases: allCases[:1], peers: []peer{{name: "a", echo: "x"}, {name: "b", echo: "x"}}, reference: "b", reps: 3, duration: time.Second}
	res := results{}
	for rep, slow := range []float64{1, 2, 4} {
		res.add("echo20", "a", rep, &report{PerSec: 100, CPU: 3 * slow, CPUSec: 1, UserSec: 0.25})
		if rep < 2 {
			res.add("echo20", "b", rep, &report{PerSec: 50, CPU: 2 * slow})
		}
	}
	if got := res.ratio("echo20", "a", "b", cpu); got != 1.5 {
		t.Errorf("ratio = %v, want 1.5", got)
	}
	var out bytes.Buffer
	writeTables(&out, cfg, res)
	for _, want := range []string{
		"### Saturated",
		"| echo 20 B, 100 connections | a | 100 | 2.00 | 6.000 | 1.50 | 150 % | 0.25 | - |",
		"|  | b | 50 | 1.00 | 3.000 | 1.00 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "### Paced") {
		t.Error("a table without a case")
	}
}

// TestAims are shown beside the figures, those of other servers in brackets.
func TestAims(t *testing.T) {
	c, err := selectCases("sioecho")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{cases: c, peers: []peer{{name: "wsd-sio", sio: "x"}, {name: "gws", echo: "x"}, {name: "node-sio", sio: "x"}}, reference: "node-sio", reps: 1}
	res := results{}
	res.add("sioecho", "wsd-sio", 0, &report{PerSec: 100, Instr: 20_000, CPU: 6})
	res.add("sioecho", "node-sio", 0, &report{PerSec: 50, Instr: 64_000, CPU: 20})
	var out bytes.Buffer
	writeTables(&out, cfg, res)
	for _, want := range []string{
		"### Socket.IO, saturated",
		"| event echo 20 B, 100 sockets | wsd-sio | 100 | 2.00 | 20000 | - | 0.31 | 21000 | 6.000 | 0.30 | 0.32 | - |",
		"|  | node-sio | 50 | 1.00 | 64000 | - | 1.00 | (65200) | 20.000 | 1.00 | (1.00) | - |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "gws") {
		t.Error("a row of a server that is not for the case")
	}
}

func TestParseBusy(t *testing.T) {
	got, ok := parseBusy("cpu  100 20 300 9999 77 4 6 0 0 0\ncpu0 1 2 3\n")
	if !ok || got != 4.3 {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := parseBusy("nothing"); ok {
		t.Error("read what is not there")
	}
}

// TestServerLife starts a process, sees it listen, and sees it gone.
func TestServerLife(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("no taskset on this system")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config{root: ".", serverCPU: "0", loadCPU: "0"}
	p := peer{name: "self", echo: listenEnv + "=127.0.0.1:{port} '" + self + "'"}
	// The shell's exec takes no assignments; env does.
	p.echo = "env " + p.echo
	s, err := startServer(t.Context(), cfg, loadCase{procs: 1}, p, "")
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	if c, err := net.Dial("tcp", net.JoinHostPort(s.host, s.port)); err == nil {
		c.Close()
		t.Error("the server still listens")
	}

	p.echo = "echo {port} is taken; exit 1"
	if _, err := startServer(t.Context(), cfg, loadCase{procs: 1}, p, ""); err == nil || !strings.Contains(err.Error(), "ended before it listened") {
		t.Errorf("err = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.echo = "sleep 60 # {port}"
	if _, err := startServer(ctx, cfg, loadCase{procs: 1}, p, ""); err == nil {
		t.Error("a cancelled start succeeded")
	}
}

func TestRunningServerIsLeftAlone(t *testing.T) {
	s, err := startServer(t.Context(), config{}, loadCase{}, peer{kind: kindRunning, host: "127.0.0.1", port: "1", pid: 1}, "")
	if err != nil || s.pid != 1 {
		t.Fatalf("got %+v, %v", s, err)
	}
	s.stop()
}
