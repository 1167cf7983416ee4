package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// results holds the accepted reports: case, then server, then repetition.
type results map[string]map[string]map[int]*report

func (res results) add(caseName, peerName string, rep int, r *report) {
	if res[caseName] == nil {
		res[caseName] = map[string]map[int]*report{}
	}
	if res[caseName][peerName] == nil {
		res[caseName][peerName] = map[int]*report{}
	}
	res[caseName][peerName][rep] = r
}

// median returns the middle value of vs, the mean of the middle two when
// their number is even, and 0 for none.
func median(vs []float64) float64 {
	if len(vs) == 0 {
		return 0
	}
	vs = slices.Sorted(slices.Values(vs))
	mid := len(vs) / 2
	if len(vs)%2 == 1 {
		return vs[mid]
	}
	return (vs[mid-1] + vs[mid]) / 2
}

// figure reads one number off a report.
type figure func(*report) float64

// of is the median of f over all repetitions of a cell.
func (res results) of(caseName, peerName string, f figure) float64 {
	var vs []float64
	for _, r := range res[caseName][peerName] {
		vs = append(vs, f(r))
	}
	return median(vs)
}

// ratio is the median over the repetitions of f(peer)/f(reference): both ran
// next to each other, so slow drifts of the machine cancel out. It is 0 when
// no repetition has both.
func (res results) ratio(caseName, peerName, reference string, f figure) float64 {
	var vs []float64
	for rep, r := range res[caseName][peerName] {
		if ref := res[caseName][reference][rep]; ref != nil && f(ref) > 0 {
			vs = append(vs, f(r)/f(ref))
		}
	}
	return median(vs)
}

// column is a figure with its heading.
type column struct {
	title string
	show  func(res results, c loadCase, peerName, reference string) string
}

func value(title, format string, f figure) column {
	return column{title, func(res results, c loadCase, p, _ string) string {
		v := res.of(c.name, p, f)
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}}
}

func versus(title string, f figure) column {
	return column{title, func(res results, c loadCase, p, reference string) string {
		v := res.ratio(c.name, p, reference, f)
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", v)
	}}
}

// spread is the range of f over the repetitions as a part of its median.
func spread(title string, f figure) column {
	return column{title, func(res results, c loadCase, p, _ string) string {
		var vs []float64
		for _, r := range res[c.name][p] {
			vs = append(vs, f(r))
		}
		if len(vs) < 2 || median(vs) == 0 {
			return "-"
		}
		return fmt.Sprintf("%.0f %%", 100*(slices.Max(vs)-slices.Min(vs))/median(vs))
	}}
}

// aim shows the target of one of wsd's servers; in brackets, the figure of
// another server on the machine where the targets were set.
var aim = column{"aim", func(_ results, c loadCase, p, _ string) string {
	return bracketed(p, "%.0f", c.aims[p])
}}

// aimVersus is aim as a ratio to the reference, for machines that can't count
// instructions.
var aimVersus = column{"aim x", func(_ results, c loadCase, p, reference string) string {
	if c.aims[reference] == 0 {
		return "-"
	}
	return bracketed(p, "%.2f", c.aims[p]/c.aims[reference])
}}

func bracketed(peerName, format string, v float64) string {
	switch {
	case v == 0:
		return "-"
	case !strings.HasPrefix(peerName, "wsd"):
		format = "(" + format + ")"
	}
	return fmt.Sprintf(format, v)
}

var (
	perSec  figure = (*report).count
	cpu     figure = (*report).cpu
	instr   figure = func(r *report) float64 { return r.Instr }
	userIns figure = func(r *report) float64 { return r.UserIns }
	p50     figure = func(r *report) float64 { return r.Latency.P50 }
	p99     figure = func(r *report) float64 { return r.Latency.P99 }
	perConn figure = func(r *report) float64 { return r.PerConn }
	rssMiB  figure = func(r *report) float64 { return r.RSSAfter / 1024 }
)

// section is one table: the cases of a family, WebSocket or Socket.IO.
type section struct {
	title   string
	family  family
	sio     bool
	cross   bool // two servers
	columns []column
}

var sections = []section{
	{"Saturated", throughput, false, false, []column{
		value("messages/s", "%.0f", perSec), versus("x", perSec),
		value("CPU us", "%.3f", cpu), versus("x", cpu), spread("spread", cpu),
		value("user CPU", "%.2f", (*report).userShare),
		value("instr", "%.0f", instr), value("user instr", "%.0f", userIns), versus("x", instr),
		value("p50 us", "%.0f", p50), value("p99 us", "%.0f", p99),
		value("B/message", "%.0f", (*report).bytesPerMessage),
	}},
	{"Paced (open loop)", paced, false, false, []column{
		value("messages/s", "%.0f", perSec),
		value("CPU us", "%.2f", cpu), versus("x", cpu), spread("spread", cpu),
		value("p50 us", "%.1f", p50), versus("x", p50),
		value("p99 us", "%.1f", p99), versus("x", p99),
		value("p99.9 us", "%.0f", func(r *report) float64 { return r.Latency.P999 }),
	}},
	{"Handshakes", handshake, false, false, []column{
		value("handshakes/s", "%.0f", perSec), versus("x", perSec),
		value("CPU us", "%.2f", cpu), versus("x", cpu), spread("spread", cpu),
		value("p50 us", "%.0f", p50), value("p99 us", "%.0f", p99),
	}},
	{"Idle connections (resident memory)", idle, false, false, []column{
		value("B/connection", "%.0f", perConn), versus("x", perConn), spread("spread", perConn),
		value("RSS MiB", "%.1f", rssMiB),
	}},
	{"Socket.IO, saturated", throughput, true, false, []column{
		value("messages/s", "%.0f", perSec), versus("x", perSec),
		value("instr", "%.0f", instr), value("user instr", "%.0f", userIns), versus("x", instr), aim,
		value("CPU us", "%.3f", cpu), versus("x", cpu), aimVersus, spread("spread", cpu),
		value("user CPU", "%.2f", (*report).userShare),
		value("p50 us", "%.0f", p50), value("p99 us", "%.0f", p99),
		value("out of order", "%.0f", func(r *report) float64 { return float64(r.Mismatch) }),
	}},
	{"Socket.IO, idle sessions (resident memory)", idle, true, false, []column{
		value("B/session", "%.0f", perConn), aim, versus("x", perConn), aimVersus, spread("spread", perConn),
		value("RSS MiB", "%.1f", rssMiB),
	}},
	{"Socket.IO, paced (open loop)", paced, true, false, latencies},
	{"Socket.IO across two servers, saturated", throughput, true, true, []column{
		value("deliveries/s", "%.0f", perSec),
		value("deliveries/CPU s", "%.0f", (*report).perCPUSecond), versus("x", (*report).perCPUSecond), spread("spread", (*report).perCPUSecond),
		value("publisher's us/publication", "%.0f", cpuOf(1)),
		value("subscribers' us/publication", "%.0f", cpuOf(0)),
		value("Redis us/publication", "%.0f", cpuOf(2)),
		value("commands/publication", "%.2f", (*report).commandsPerPublication),
		value("commands/delivery", "%.5f", (*report).commandsPerDelivery),
		value("p50 us", "%.0f", p50), value("p99 us", "%.0f", p99),
	}},
	{"Socket.IO across two servers, paced (open loop)", paced, true, true, latencies},
}

var latencies = []column{
	value("deliveries/s", "%.0f", perSec),
	value("CPU us", "%.2f", cpu), versus("x", cpu), spread("spread", cpu),
	value("p50 us", "%.0f", p50), versus("x", p50),
	value("p99 us", "%.0f", p99), versus("x", p99),
}

// writeTables prints one Markdown table for each section that has cases.
func writeTables(w io.Writer, cfg config, res results) {
	fmt.Fprintf(w, "Medians of %d interleaved repetitions of %v; x = median ratio to %s in the same repetition.\n",
		cfg.reps, cfg.duration, cfg.reference)
	for _, s := range sections {
		header := false
		for _, c := range cfg.cases {
			if c.family != s.family || c.sio != s.sio || s.cross != (c.adapter != "") {
				continue
			}
			if !header {
				writeHeader(w, s)
				header = true
			}
			writeCase(w, cfg, res, c, s.columns)
		}
	}
}

func writeHeader(w io.Writer, s section) {
	titles := make([]string, len(s.columns))
	for i, col := range s.columns {
		titles[i] = col.title
	}
	fmt.Fprintf(w, "\n### %s\n\n| case | server | %s |\n|---|---|%s\n",
		s.title, strings.Join(titles, " | "), strings.Repeat("--:|", len(titles)))
}

func writeCase(w io.Writer, cfg config, res results, c loadCase, cols []column) {
	title := c.title
	for _, p := range cfg.peers {
		if !p.serves(c) {
			continue
		}
		cells := make([]string, len(cols))
		for i, col := range cols {
			cells[i] = col.show(res, c, p.name, cfg.reference)
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", title, p.name, strings.Join(cells, " | "))
		title = ""
	}
}
