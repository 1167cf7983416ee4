package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name   string
		events string
		ok     bool
		last   string
		shows  []string
	}{
		{
			name: "tests and sub-tests count",
			events: `{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"run","Package":"a","Test":"TestX/one"}
{"Action":"pass","Package":"a","Test":"TestX/one"}
{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"pass","Package":"a","Elapsed":0.5}`,
			ok: true, last: "2 passed, 0 failed", shows: []string{"ok   a", "0.5s"},
		},
		{
			name: "a failed test shows its output, a passed one does not",
			events: `{"Action":"output","Package":"a","Test":"TestX","Output":"quiet\n"}
{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestY","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"a","Test":"TestY"}
{"Action":"fail","Package":"a"}`,
			last: "1 passed, 1 failed", shows: []string{"a.TestY", "got 1, want 2", "FAIL a"},
		},
		{
			name: "a package that fails without a failed test",
			events: `{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Output":"testkit: the tests left goroutines\n"}
{"Action":"fail","Package":"a"}`,
			last: "1 passed, 1 failed", shows: []string{"the tests left goroutines"},
		},
		{
			name: "a build that fails",
			events: `{"ImportPath":"a [a.test]","Action":"build-output","Output":"x.go:1:1: undefined: y\n"}
{"ImportPath":"a [a.test]","Action":"build-fail"}
{"Action":"start","Package":"a"}
{"Action":"fail","Package":"a","FailedBuild":"a [a.test]"}`,
			last: "0 passed, 1 failed", shows: []string{"undefined: y"},
		},
		{
			name: "a panic takes the running test and the package with it",
			events: `{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestX","Output":"panic: oops\n"}
{"Action":"fail","Package":"a"}`,
			last: "0 passed, 2 failed", shows: []string{"a.TestX had no result", "panic: oops"},
		},
		{
			name: "a silent skip is a failure",
			events: `{"Action":"output","Package":"a","Test":"TestX","Output":"x.go:1: no browser here\n"}
{"Action":"skip","Package":"a","Test":"TestX"}
{"Action":"pass","Package":"a"}`,
			last: "0 passed, 1 failed", shows: []string{"no browser here", "FAIL a"},
		},
		{
			name: "a skip until test-long is not",
			events: `{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"output","Package":"a","Test":"TestY","Output":"x.go:1: set WSD_LONG=1\n"}
{"Action":"skip","Package":"a","Test":"TestY"}
{"Action":"pass","Package":"a"}`,
			ok: true, last: "1 passed, 0 failed", shows: []string{"1 tests left to make test-long"},
		},
		{
			name: "packages without tests",
			events: `{"Action":"pass","Package":"a","Test":"TestX"}
{"Action":"pass","Package":"a"}
{"Action":"skip","Package":"b"}`,
			ok: true, last: "1 passed, 0 failed", shows: []string{"1 packages with tests, 1 without"},
		},
		{
			name:   "a stream that is cut",
			events: `{"Action":"run","Package":"a","Test":"TestX"}`,
			last:   "0 passed, 1 failed", shows: []string{"a did not end"},
		},
		{
			name: "nothing ran",
			last: "0 passed, 1 failed", shows: []string{"no test ran"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			sum := newSummary(&out)
			if err := sum.read(strings.NewReader(tt.events)); err != nil {
				t.Fatal(err)
			}
			if ok := sum.finish(); ok != tt.ok {
				t.Errorf("finish: %v, want %v", ok, tt.ok)
			}
			text := out.String()
			if !strings.HasSuffix(text, "\n"+tt.last+"\n") {
				t.Errorf("last line is not %q:\n%s", tt.last, text)
			}
			for _, show := range tt.shows {
				if !strings.Contains(text, show) {
					t.Errorf("does not show %q:\n%s", show, text)
				}
			}
			if strings.Contains(text, "quiet") {
				t.Errorf("shows the output of a test that passed:\n%s", text)
			}
		})
	}
}

func TestReadRefusesGarbage(t *testing.T) {
	if err := newSummary(&strings.Builder{}).read(strings.NewReader("go: no such module")); err == nil {
		t.Error("a stream that is no JSON was taken")
	}
}
