package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// frame is one picture of what a top knows.
type frame struct {
	*top
	width, height int
	colour, keys  bool
	now           time.Time
}

// Styles: SGR parameters.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// paint gives a text a style.
func (f *frame) paint(style, text string) string {
	if !f.colour || style == "" || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// lines are the frame's, at most height of them.
func (f *frame) lines() []string {
	all := append(f.head(), f.figures()...)
	all = append(all, "")
	all = append(all, f.nodes()...)
	rest := f.height - len(all)
	if f.keys {
		rest--
	}
	all = append(all, f.tables(rest)...)
	if f.keys {
		all = all[:min(len(all), f.height-1)]
		for len(all) < f.height-1 {
			all = append(all, "")
		}
		all = append(all, f.paint(dim, fit("q quit   p pause", f.width)))
	}
	return all[:min(len(all), f.height)]
}

// head says whose figures these are, and whether they are fresh.
func (f *frame) head() []string {
	n := &f.last.Nodes[0]
	name := "wsd " + printable(n.ID)
	if most := max(f.width-12, 0); columns(name) > most {
		name = fit(name, most)
	}
	left := f.paint(bold, name) + "  " + f.state(n.State)
	plain := name + "  " + n.State
	more := "  " + strings.TrimRight(fit(printable(n.Version), 24), " ") + "  up " + upFor(f.heard.Sub(n.Started))
	right := f.last.Time.Local().Format(time.TimeOnly)
	style := dim
	switch silent := f.now.Sub(f.heard); {
	case f.fault != nil && silent >= topWait:
		right, style = "no answer for "+upFor(silent), red
	case f.paused:
		right, style = "paused at "+right, yellow
	}
	gap := f.width - columns(plain) - columns(more) - columns(right)
	if gap < 1 {
		return []string{left}
	}
	return []string{left + f.paint(dim, more) + strings.Repeat(" ", gap) + f.paint(style, right)}
}

// state is a node's, in its colour.
func (f *frame) state(state string) string {
	style := map[string]string{stateOK: green, stateSilent: red}[state]
	return f.paint(cmp.Or(style, yellow), state)
}

// figures are the node's, with their history.
func (f *frame) figures() []string {
	n := &f.last.Nodes[0]
	c, r := &n.Connections, &n.Rates
	full := ""
	if c.Limit > 0 {
		full = fmt.Sprintf("of %s (%s)  ", commas(c.Limit), percent(float64(c.Total)/float64(c.Limit)))
	}
	broker := [3]string{"-", "no Redis", ""}
	if b := n.Broker; b != nil && b.Up {
		broker = [3]string{millis(b.Lag), fmt.Sprintf("queued %s  gaps %s  lost %s", commas(b.Queued), commas(b.Gaps), commas(b.Lost)), lagStyle(b.Lag)}
	} else if b != nil {
		broker = [3]string{"down", printable(b.Reason), red}
	}
	trouble := ""
	if r.Dropped+r.Refused > 0 {
		trouble = yellow
	}
	return []string{
		f.figure("connections", commas(c.Total), fmt.Sprintf("%sraw %s  sio %s  polling %s", full, commas(c.Raw), commas(c.SIO), commas(c.Polling)), "", "connections"),
		f.figure("messages in", rate(r.MessagesIn)+"/s", sizeText(r.BytesIn)+"/s", "", "messages_in"),
		f.figure("messages out", rate(r.MessagesOut)+"/s", sizeText(r.BytesOut)+"/s", "", "messages_out"),
		f.figure("loop lag", millis(n.LoopLag), "busiest loop "+percent(n.LoopBusy), lagStyle(n.LoopLag), "loop_lag_ms"),
		f.figure("broker lag", broker[0], broker[1], broker[2], "broker_lag_ms"),
		f.figure("trouble", rate(r.Dropped+r.Refused)+"/s", fmt.Sprintf("dropped %s/s  refused %s/s", rate(r.Dropped), rate(r.Refused)), trouble, "dropped", "refused"),
		f.figure("memory", sizeText(float64(n.Memory.RSS)), fmt.Sprintf("heap %s  goroutines %s  files %s", sizeText(float64(n.Memory.Heap)), commas(n.Goroutines), commas(n.FDs.Open)), ""),
	}
}

// figure is a line: a name, a value, what belongs to it, and the sum of some columns
// of the history.
func (f *frame) figure(name, value, more, style string, columns ...string) string {
	const nameWidth, valueWidth = 13, 11
	moreWidth := min(max(f.width-nameWidth-valueWidth-14, 42), 52)
	spark := f.width - nameWidth - valueWidth - 2 - moreWidth - 2
	if spark < 8 {
		spark = 0
		moreWidth = max(0, f.width-nameWidth-valueWidth-2)
	}
	line := f.paint(dim, fit(name, nameWidth)) + f.paint(cmp.Or(style, bold), fitRight(value, valueWidth)) + "  " + fit(more, moreWidth)
	if spark > 0 {
		line += "  " + f.paint(cyan, sparkline(f.sums(columns), spark))
	}
	return line
}

// sums are the history of a sum of columns.
func (f *frame) sums(names []string) []float64 {
	var at []int
	for _, name := range names {
		if i := slices.Index(f.last.History.Columns, name); i >= 0 {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return nil
	}
	sums := make([]float64, len(f.rows))
	for i, row := range f.rows {
		for _, j := range at {
			if j < len(row) {
				sums[i] += row[j]
			}
		}
	}
	return sums
}

// nodes lists them, as many as a quarter of the frame has room for.
func (f *frame) nodes() []string {
	cols := []column{{"NODE", 0, false}, {"STATE", 9, false}, {"CONNS", 8, true}, {"IN/s", 8, true}, {"OUT/s", 8, true}, {"LAG", 9, true}, {"BROKER", 9, true}, {"MEMORY", 9, true}}
	if f.width >= 100 {
		cols = append(cols, column{"UP", 12, true}, column{"VERSION", 16, true})
	}
	var rows [][]cell
	for i := range f.last.Nodes {
		n := &f.last.Nodes[i]
		row := []cell{{text: printable(n.ID)}, {n.State, f.stateStyle(n.State)}}
		if n.State != stateSilent {
			broker := cell{text: "-"}
			if b := n.Broker; b != nil && b.Up {
				broker = cell{millis(b.Lag), lagStyle(b.Lag)}
			} else if b != nil {
				broker = cell{"down", red}
			}
			row = append(row, cell{text: commas(n.Connections.Total)}, cell{text: rate(n.Rates.MessagesIn)}, cell{text: rate(n.Rates.MessagesOut)},
				cell{millis(n.LoopLag), lagStyle(n.LoopLag)}, broker, cell{text: sizeText(float64(cmp.Or(n.Memory.RSS, n.Memory.Heap)))},
				cell{text: upFor(f.heard.Sub(n.Started))}, cell{text: printable(n.Version)})
		}
		rows = append(rows, row)
	}
	fits := max(2, f.height/4)
	out := f.table(cols, rows[:min(len(rows), fits)], f.width, "")
	if hidden := len(rows) - fits + f.last.Cluster.Hidden; hidden > 0 {
		out = append(out, f.paint(dim, fmt.Sprintf("and %d more", hidden)))
	}
	if text := f.last.Cluster.Error; text != "" {
		out = append(out, f.paint(red, fit(printable(text), f.width)))
	}
	return out
}

func (f *frame) stateStyle(state string) string {
	return cmp.Or(map[string]string{stateOK: green, stateSilent: red}[state], yellow)
}

// tables are topics beside rooms, and below them slow clients beside trouble, in at
// most height lines.
func (f *frame) tables(height int) []string {
	node := &f.last.Node
	pair := (f.width - 3) / 2
	stacked := f.width < 72
	if stacked {
		pair = f.width
	}
	wide := pair >= 56 // there is room for more columns
	topics := f.table([]column{{fmt.Sprintf("TOPICS (%s)", commas(node.Topics.Count)), 0, false}, {"SUBS", 7, true}, {"FAN-OUT/s", 10, true}}, placeRows(node.Topics.Top), pair, "no topic has subscribers")
	rooms := f.table([]column{{"ROOMS", 0, false}, {"MEMBERS", 8, true}, {"FAN-OUT/s", 10, true}}, placeRows(node.Rooms.Top), pair, "no room has members")
	slow := f.slow(pair, wide)
	trouble := f.trouble(pair)
	upper := max(len(topics), len(rooms))
	lower := max(len(slow), len(trouble))
	if stacked {
		out := []string{}
		for _, t := range [][]string{trouble, slow, topics, rooms} {
			out = append(append(out, ""), t...)
		}
		return out[:max(0, min(len(out), height))]
	}
	// Both have their share, and what the other does not need.
	if upper+lower+2 > height {
		share := max(0, height-2)
		lower = min(lower, max(share*2/5, share-upper))
		upper = min(upper, share-lower)
	}
	out := append([]string{""}, f.beside(topics, rooms, pair, upper)...)
	out = append(append(out, ""), f.beside(slow, trouble, pair, lower)...)
	return out[:max(0, min(len(out), height))]
}

// beside puts two tables into n lines.
func (f *frame) beside(left, right []string, width, n int) []string {
	lines := make([]string, max(0, n))
	for i := range lines {
		l, r := strings.Repeat(" ", width), ""
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		lines[i] = l + "   " + r
	}
	return lines
}

func placeRows(places []placeView) [][]cell {
	var rows [][]cell
	for _, p := range places {
		name := printable(p.Name)
		if p.Namespace != "" && p.Namespace != "/" {
			name = printable(p.Namespace) + " " + name
		}
		fanOut := "..."
		if p.FanOut != nil {
			fanOut = rate(*p.FanOut)
		}
		rows = append(rows, []cell{{text: name}, {text: commas(p.Members)}, {text: fanOut}})
	}
	return rows
}

func (f *frame) slow(width int, wide bool) []string {
	cols := []column{{"SLOWEST CLIENTS", 0, false}, {"WAITING", 10, true}}
	if wide {
		cols = []column{{"SLOWEST CLIENTS", 0, false}, {"USER", 14, false}, {"WAITING", 10, true}}
	}
	var rows [][]cell
	for _, c := range f.last.Node.Slowest {
		row := []cell{{text: printable(cmp.Or(c.Remote, c.ID))}, {text: printable(cmp.Or(c.User, "-"))}, {text: sizeText(float64(c.Buffered))}}
		if !wide {
			row = slices.Delete(row, 1, 2)
		}
		rows = append(rows, row)
	}
	return f.table(cols, rows, width, "nothing waits for any client")
}

func (f *frame) trouble(width int) []string {
	var rows [][]cell
	for _, t := range f.last.Node.Trouble {
		reason := t.Reason
		if reason == "" {
			reason = strings.TrimSuffix(strings.TrimPrefix(t.Metric, "wsd_"), "_total")
		}
		row := []cell{{text: printable(t.What + ": " + strings.ReplaceAll(reason, "_", " "))}, {text: "-"}, {text: commas(t.Total)}}
		if t.Rate > 0 {
			row[1] = cell{rate(t.Rate) + "/s", yellow}
		}
		rows = append(rows, row)
	}
	return f.table([]column{{"DROPS AND REFUSALS", 0, false}, {"RATE", 8, true}, {"TOTAL", 9, true}}, rows, width, "nothing was dropped or refused")
}
