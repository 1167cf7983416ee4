package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/term"
)

const (
	// topEvery is between two questions to the server.
	topEvery = time.Second
	// topLook is between two looks at the terminal's size.
	topLook = 200 * time.Millisecond
	// topWait is after how long without an answer that shows.
	topWait = 3 * time.Second
)

// topCmd is `wsd top`.
type topCmd struct {
	adminClientFlags
	Once bool `help:"Print one frame and end."`
	JSON bool `name:"json" help:"With --once: print what GET /v1/overview answers."`
}

// Run shows what a server does until q is pressed.
func (c *topCmd) Run(p *process) error {
	if c.JSON && !c.Once {
		return usageError(errors.New("--json goes with --once"))
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.close()
	top := &top{client: client}
	if c.Once {
		return top.once(p.ctx, p.stdout, c.JSON)
	}
	screen, ok := p.stdout.(*os.File)
	if !ok || !term.IsTerminal(int(screen.Fd())) || !term.IsTerminal(int(os.Stdin.Fd())) {
		return usageError(errors.New("wsd top needs a terminal; --once prints one frame"))
	}
	if err := top.ask(p.ctx); err != nil {
		return err
	}
	return top.live(p.ctx, os.Stdin, screen)
}

// top is what is known of a server, for its figures in a terminal.
type top struct {
	client *adminClient
	last   overview
	raw    json.RawMessage // of last
	rows   [][]float64     // history, the oldest first
	heard  time.Time       // last
	fault  error           // why the question after it had no answer; nil: it had
	paused bool
}

// ask gets the newest figures.
func (t *top) ask(ctx context.Context) error {
	var raw json.RawMessage
	since := t.last.History.Next
	err := t.client.do(ctx, "GET", "/v1/overview?since="+strconv.FormatUint(since, 10), nil, &raw)
	var x overview
	if err == nil {
		if err = json.Unmarshal(raw, &x); err == nil && len(x.Nodes) == 0 {
			err = errors.New("the answer names no node: is this the admin listener of a wsd?")
		}
	}
	if t.fault = err; err != nil {
		return err
	}
	if since == 0 || !x.Nodes[0].Started.Equal(t.last.Nodes[0].Started) {
		t.rows = nil // another server
	}
	t.rows = append(t.rows, x.History.Rows...)
	t.rows = t.rows[max(0, len(t.rows)-keptSamples):]
	t.last, t.raw, t.heard = x, raw, time.Now()
	return nil
}

// once prints one frame, or the answer it is made of.
func (t *top) once(ctx context.Context, to io.Writer, asJSON bool) error {
	if err := t.ask(ctx); err != nil {
		return err
	}
	if t.last.Node.unmeasured() {
		// Nobody has looked lately, so rates of topics and rooms begin now.
		select {
		case <-time.After(scanEvery + topEvery/10):
		case <-ctx.Done():
			return ctx.Err()
		}
		t.last.History.Next = 0
		if err := t.ask(ctx); err != nil {
			return err
		}
	}
	if asJSON {
		out := json.NewEncoder(to)
		out.SetIndent("", "  ")
		return out.Encode(t.raw)
	}
	width, height := 120, 1000
	file, ok := to.(*os.File)
	colour := ok && isTerminal(file) && wantsColour()
	if ok && isTerminal(file) {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil {
			width = w
		}
	}
	f := frame{top: t, width: width, height: height, colour: colour, now: time.Now()}
	for _, line := range f.lines() {
		if _, err := fmt.Fprintln(to, line); err != nil {
			return err
		}
	}
	return nil
}

// unmeasured reports whether there are topics or rooms whose rates are not known.
func (n *nodeDetail) unmeasured() bool {
	for _, list := range [][]placeView{n.Topics.Top, n.Rooms.Top} {
		if len(list) > 0 && list[0].FanOut == nil {
			return true
		}
	}
	return false
}

// wantsColour is false where the environment says so: no-color.org.
func wantsColour() bool { return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" }

// What is said to the terminal: its other screen, without cursor and line wrap, and
// back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
)

// live shows frames until ctx ends or somebody leaves. The terminal is then as it
// was.
func (t *top) live(ctx context.Context, keyboard, screen *os.File) error {
	before, err := term.MakeRaw(int(keyboard.Fd()))
	if err != nil {
		return fmt.Errorf("the terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(keyboard.Fd()), before) }()
	defer func() { _, _ = io.WriteString(screen, leaveScreen) }()
	if _, err := io.WriteString(screen, enterScreen); err != nil {
		return err
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	pressed := readKeys(keyboard)
	answers := t.questions(ctx)
	look := time.NewTicker(topLook)
	defer look.Stop()
	d := display{screen: screen, colour: wantsColour()}
	for changed := true; ; changed = false {
		if err := d.show(t, changed); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil // told to end: nothing failed
		case key, open := <-pressed:
			switch {
			case !open, key == 'q', key == 'Q', key == ctrlC, key == ctrlD:
				return nil
			case key == 'p', key == ' ':
				t.paused = !t.paused
				d.stale = true
			}
		case take := <-answers:
			take()
			d.stale = true
		case <-look.C:
		}
	}
}

const (
	ctrlC = 3
	ctrlD = 4
)

// readKeys returns the keys that are pressed; the channel is closed when there will be no more. The
// goroutine that reads them ends with the process.
func readKeys(keyboard io.Reader) <-chan byte {
	pressed := make(chan byte)
	go func() {
		defer close(pressed)
		in := bufio.NewReader(keyboard)
		for {
			key, err := in.ReadByte()
			if err != nil {
				return
			}
			pressed <- key
		}
	}()
	return pressed
}

// questions asks once every topEvery until ctx ends. What is sent is to be called:
// it takes the answer, unless the display is paused.
func (t *top) questions(ctx context.Context) <-chan func() {
	answers := make(chan func())
	go func() {
		every := time.NewTicker(topEvery)
		defer every.Stop()
		asker := &top{client: t.client, last: t.last, rows: t.rows}
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			_ = asker.ask(ctx) // it keeps the fault
			known := *asker
			select {
			case <-ctx.Done():
				return
			case answers <- func() { t.take(&known) }:
			}
		}
	}()
	return answers
}

// take makes what another one knows the top's own.
func (t *top) take(known *top) {
	t.fault = known.fault
	if known.fault == nil && !t.paused {
		t.last, t.rows = known.last, known.rows
	}
	if known.fault == nil {
		t.heard = known.heard
	}
}

// display draws frames.
type display struct {
	screen        *os.File
	colour        bool
	stale         bool // what is shown is not what is known
	width, height int
}

// show draws a frame if there is anything new, the terminal's size included.
func (d *display) show(t *top, changed bool) error {
	width, height, err := term.GetSize(int(d.screen.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	resized := width != d.width || height != d.height
	if !changed && !resized && !d.stale {
		return nil
	}
	d.width, d.height, d.stale = width, height, false
	f := frame{top: t, width: width, height: height, colour: d.colour, now: time.Now(), keys: true}
	out := bufio.NewWriter(d.screen)
	_, _ = out.WriteString("\x1b[H") // errors are Flush's
	for i, line := range f.lines() {
		if i > 0 {
			_, _ = out.WriteString("\r\n")
		}
		_, _ = out.WriteString(line + "\x1b[K")
	}
	_, _ = out.WriteString("\x1b[J")
	return out.Flush()
}
