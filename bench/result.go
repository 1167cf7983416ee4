package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run measured.
type Result struct {
	Config   Config        `json:"-"`        // with the defaults filled in
	Elapsed  time.Duration `json:"-"`        // of the measured window
	Messages uint64        `json:"messages"` // echoes, or deliveries to subscribers, in the window
	// PerSecond is Messages by Elapsed.
	PerSecond float64 `json:"per_second"`
	// BytesPerMessage is the mean payload received, compressed if it was.
	BytesPerMessage float64 `json:"bytes_per_message"`
	// Latency is from send to echo or delivery; in open loop from the
	// intended send time.
	Latency Latency `json:"latency_us"`
	Faults  Faults  `json:"faults"`
	// Server is nil when Config.PID is 0.
	Server *Server `json:"server,omitempty"`
}

// Latency is a distribution in microseconds.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Server is what the server's process used.
type Server struct {
	CPUPerMessage float64 `json:"cpu_us_per_message"` // microseconds, user and system
	CPUFraction   float64 `json:"cpu_fraction"`       // of one processor, in the window
	RSS           int64   `json:"rss_bytes"`          // at the end of the window
	// RSSPerConnection is the growth over Config.Connections; Idle only.
	RSSPerConnection float64 `json:"rss_bytes_per_connection,omitempty"`
}

// measured fills in the figures of a window with messages.
func (res *Result) measured(r *run, w window) {
	h, messages, wire := r.stats.total()
	res.Elapsed = w.elapsed
	res.Messages = messages
	res.PerSecond = float64(messages) / w.elapsed.Seconds()
	if messages > 0 {
		res.BytesPerMessage = float64(wire) / float64(messages)
	}
	res.Latency = latencyOf(h)
	if r.cfg.PID == 0 {
		return
	}
	cpu := w.after.cpu - w.before.cpu
	res.Server = &Server{CPUFraction: cpu.Seconds() / w.elapsed.Seconds(), RSS: w.after.rss}
	if messages > 0 {
		res.Server.CPUPerMessage = float64(cpu.Microseconds()) / float64(messages)
	}
}

// held fills in the figures of a run that holds connections.
func (res *Result) held(r *run, before, after usage) {
	res.Elapsed = r.cfg.Duration
	if r.cfg.PID == 0 {
		return
	}
	res.Server = &Server{RSS: after.rss, RSSPerConnection: float64(after.rss-before.rss) / float64(r.cfg.Connections)}
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	us := func(ns int64) float64 { return float64(ns) / 1000 }
	return Latency{
		Mean: h.Mean() / 1000,
		P50:  us(h.ValueAtQuantile(50)),
		P90:  us(h.ValueAtQuantile(90)),
		P99:  us(h.ValueAtQuantile(99)),
		P999: us(h.ValueAtQuantile(99.9)),
		Max:  us(h.Max()),
	}
}

// MarshalJSON adds the settings that the figures depend on.
func (res Result) MarshalJSON() ([]byte, error) {
	type figures Result
	c := res.Config
	return json.Marshal(struct {
		Mode        Mode    `json:"mode"`
		URL         string  `json:"url"`
		Connections int     `json:"connections"`
		Publishers  int     `json:"publishers,omitempty"`
		InFlight    int     `json:"in_flight,omitempty"`
		Window      int     `json:"window,omitempty"`
		Rate        float64 `json:"rate,omitempty"`
		Size        int     `json:"size"`
		Deflate     bool    `json:"deflate"`
		Seconds     float64 `json:"seconds"`
		figures
	}{
		Mode:        c.Mode,
		URL:         c.URL,
		Connections: c.Connections,
		Publishers:  pick(c.Mode == Fanout, c.Publishers, 0),
		InFlight:    pick(c.Mode == Echo, c.InFlight, 0),
		Window:      pick(c.Mode == Fanout && c.Rate == 0, c.Window, 0),
		Rate:        c.Rate,
		Size:        c.Size,
		Deflate:     c.Deflate,
		Seconds:     res.Elapsed.Seconds(),
		figures:     figures(res),
	})
}

// WriteJSON writes the result as one JSON document.
func (res Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(res)
}

// WriteText writes the result as a table for people.
func (res Result) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(tw, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	c := res.Config
	row("mode", "%s, %s", c.Mode, c.load())
	row("server", "%s", c.URL)
	if c.Mode != Idle {
		row(pick(c.Mode == Fanout, "deliveries", "messages"), "%d in %.2f s", res.Messages, res.Elapsed.Seconds())
		row("per second", "%.0f", res.PerSecond)
		row("payload", "%d B, %.0f B received", c.Size, res.BytesPerMessage)
		l := res.Latency
		row("latency us", "p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f", l.P50, l.P90, l.P99, l.P999, l.Max)
	}
	if s := res.Server; s != nil {
		if c.Mode == Idle {
			row("server memory", "%.1f MiB, %.0f B per connection", float64(s.RSS)/(1<<20), s.RSSPerConnection)
		} else {
			row("server CPU", "%.3f us per message, %.0f %% of a processor", s.CPUPerMessage, 100*s.CPUFraction)
			row("server memory", "%.1f MiB", float64(s.RSS)/(1<<20))
		}
	}
	row("check", "%s", res.verdict())
	return tw.Flush()
}

// load describes the load in words.
func (c Config) load() string {
	switch {
	case c.Mode == Fanout && c.Rate > 0:
		return fmt.Sprintf("%d publishers to %d subscribers, %.0f publications/s", c.Publishers, c.Connections, c.Rate)
	case c.Mode == Fanout:
		return fmt.Sprintf("%d publishers to %d subscribers, %d outstanding", c.Publishers, c.Connections, c.Window)
	case c.Mode == Paced:
		return fmt.Sprintf("%d connections, %.0f messages/s", c.Connections, c.Rate)
	case c.Mode == Idle:
		return fmt.Sprintf("%d connections held for %v", c.Connections, c.Duration)
	}
	return fmt.Sprintf("%d connections, %d in flight", c.Connections, c.InFlight)
}

func (res Result) verdict() string {
	if err := res.Faults.err(); err != nil {
		return err.Error()
	}
	return pick(res.Config.Mode == Idle, "every connection alive", "every message right and in order")
}
