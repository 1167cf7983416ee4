package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// longMark is what a test says when it skips because it is part of
// `make test-long` only.
const longMark = "WSD_LONG"

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// summary counts the results of several streams of events.
type summary struct {
	out             io.Writer
	passed, failed  int
	long            int               // skipped until `make test-long`
	packages, empty int               // empty: without test files
	builds          map[string]string // import path -> what the compiler said
	open            map[string]*pkg
}

// pkg is a package whose tests run.
type pkg struct {
	output map[string]*strings.Builder // by test; "" is the package's own
	open   map[string]bool             // started, without result
	failed int
	passed int
}

func newSummary(out io.Writer) *summary {
	return &summary{out: out, builds: map[string]string{}, open: map[string]*pkg{}}
}

// read adds a stream of events. An error means that the stream was cut or was
// no stream of events.
func (s *summary) read(r io.Reader) error {
	dec := json.NewDecoder(r)
	for {
		var e event
		if err := dec.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				return s.unfinished()
			}
			return err
		}
		s.add(e)
	}
}

func (s *summary) add(e event) {
	switch e.Action {
	case "build-output":
		s.builds[e.ImportPath] += e.Output
		return
	case "build-fail":
		return // the package's own failure follows and names it
	}
	p := s.open[e.Package]
	if p == nil {
		p = &pkg{output: map[string]*strings.Builder{}, open: map[string]bool{}}
		s.open[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.open[e.Test] = true
	case "output":
		p.write(e.Test, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			delete(s.open, e.Package)
			s.endPackage(p, e)
			return
		}
		delete(p.open, e.Test)
		s.endTest(p, e)
	}
}

func (s *summary) endTest(p *pkg, e event) {
	text := p.text(e.Test)
	switch {
	case e.Action == "pass":
		s.passed++
		p.passed++
	case e.Action == "skip" && strings.Contains(text, longMark):
		s.long++
	default:
		s.fail(p, e.Package, e.Test, e.Action, text)
	}
	delete(p.output, e.Test)
}

// endPackage prints the package's line. A package that failed without a failed
// test (a race, a leak, a panic, a build) counts as one failure.
func (s *summary) endPackage(p *pkg, e event) {
	if e.Action == "skip" {
		s.empty++
		return
	}
	s.packages++
	for test := range p.open {
		s.fail(p, e.Package, test, "had no result", p.text(test))
	}
	if e.Action == "fail" && (p.failed == 0 || len(p.open) > 0) {
		s.fail(p, e.Package, "", "failed", s.builds[e.FailedBuild]+p.text(""))
	}
	word := "ok  "
	if p.failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(s.out, "%s %-60s %6.1fs  %d passed, %d failed\n", word, e.Package, e.Elapsed, p.passed, p.failed)
}

// fail counts and shows one failure.
func (s *summary) fail(p *pkg, path, test, how, text string) {
	s.failed++
	p.failed++
	if how == "skip" {
		how = "was skipped: make test must run everything, or the test must say " + longMark
	}
	if test != "" {
		path += "." + test
	}
	fmt.Fprintf(s.out, "\n---- %s %s\n%s\n", path, how, strings.TrimRight(text, "\n"))
}

// fault counts a failure outside any package.
func (s *summary) fault(text string) {
	s.failed++
	fmt.Fprintf(s.out, "\n---- %s\n", text)
}

// unfinished counts packages whose end the stream did not tell.
func (s *summary) unfinished() error {
	for path, p := range s.open {
		s.fail(p, path, "", "did not end", p.text(""))
	}
	clear(s.open)
	return nil
}

// finish prints the last line, and reports whether everything is well. That
// nothing ran at all is not.
func (s *summary) finish() bool {
	if s.passed == 0 && s.failed == 0 {
		s.fault("no test ran")
	}
	fmt.Fprintf(s.out, "\n%d packages with tests, %d without", s.packages, s.empty)
	if s.long > 0 {
		fmt.Fprintf(s.out, "; %d tests left to make test-long", s.long)
	}
	fmt.Fprintf(s.out, "\n%d passed, %d failed\n", s.passed, s.failed)
	return s.failed == 0
}

func (p *pkg) write(test, text string) {
	b := p.output[test]
	if b == nil {
		b = &strings.Builder{}
		p.output[test] = b
	}
	b.WriteString(text)
}

func (p *pkg) text(test string) string {
	if b := p.output[test]; b != nil {
		return b.String()
	}
	return ""
}
