package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// repeatEvery is how often a warning with the same message is logged at most.
const repeatEvery = 10 * time.Second

// logFlags say what is logged and how.
type logFlags struct {
	LogLevel  string `enum:"debug,info,warn,error" default:"info" help:"The least that is logged: debug, info, warn or error. Default ${default}."`
	LogFormat string `enum:"auto,text,json" default:"auto" help:"text, json, or by default text on a terminal and JSON otherwise."`
}

// level is that of LogLevel.
func (f *logFlags) level() slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the flag's enum has checked it
	return level
}

// newLogger logs to w, from a level on that can be changed. Warnings and errors
// that repeat are thinned out; see thinned.
func newLogger(w io.Writer, f *logFlags) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(f.level())
	opts := &slog.HandlerOptions{Level: level}
	var h slog.Handler
	if f.LogFormat == "text" || f.LogFormat != "json" && isTerminal(w) {
		h = slog.NewTextHandler(w, opts)
	} else {
		h = slog.NewJSONHandler(w, opts)
	}
	return slog.New(newThinned(h, time.Now)), level
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// thinned passes a warning or error on once in repeatEvery per message text;
// the next one that passes says in "suppressed" how many did not. Messages are
// constant texts, so their number is small.
type thinned struct {
	slog.Handler
	seen *seen
}

// seen is shared by the handlers that WithAttrs and WithGroup derive.
type seen struct {
	mu   sync.Mutex
	now  func() time.Time
	last map[string]*repeat
}

type repeat struct {
	at         time.Time
	suppressed int
}

func newThinned(h slog.Handler, now func() time.Time) *thinned {
	return &thinned{Handler: h, seen: &seen{now: now, last: map[string]*repeat{}}}
}

// Handle implements slog.Handler.
func (t *thinned) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return t.Handler.Handle(ctx, r)
	}
	suppressed, pass := t.seen.pass(r.Message)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return t.Handler.Handle(ctx, r)
}

// pass reports whether message is due, and how many were held back before it.
func (s *seen) pass(message string) (suppressed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	last := s.last[message]
	switch {
	case last == nil:
		s.last[message] = &repeat{at: now}
		return 0, true
	case now.Sub(last.at) < repeatEvery:
		last.suppressed++
		return 0, false
	}
	suppressed = last.suppressed
	*last = repeat{at: now}
	return suppressed, true
}

// WithAttrs implements slog.Handler.
func (t *thinned) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &thinned{Handler: t.Handler.WithAttrs(attrs), seen: t.seen}
}

// WithGroup implements slog.Handler.
func (t *thinned) WithGroup(name string) slog.Handler {
	return &thinned{Handler: t.Handler.WithGroup(name), seen: t.seen}
}
