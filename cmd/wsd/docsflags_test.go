package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func operationsText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every command is in the table of commands.
func TestCommandsAreDocumented(t *testing.T) {
	parser, err := newParser(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	text := operationsText(t)
	for _, node := range parser.Model.Leaves(true) {
		if !strings.Contains(text, "`wsd "+node.Path()) {
			t.Errorf("%s does not name `wsd %s`", operations, node.Path())
		}
	}
}

// source is the text of this package's files, without tests.
func source(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

func TestExitCodesAreDocumented(t *testing.T) {
	want := []string{"0"}
	for _, m := range regexp.MustCompile(`(?m)^\s+exit[A-Z]\w+\s+= (\d+)`).FindAllStringSubmatch(source(t), -1) {
		want = append(want, m[1])
	}
	_, section, _ := strings.Cut(operationsText(t), "\n## Exit codes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(section, -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || len(want) < 6 {
		t.Errorf("%s has the exit codes %v, the program %v", operations, got, want)
	}
}

func TestSignalsAreDocumented(t *testing.T) {
	_, section, _ := strings.Cut(operationsText(t), "\n## Signals\n")
	section, _, _ = strings.Cut(section, "\n## ")
	n := 0
	for _, call := range regexp.MustCompile(`signal\.Notify\([^)]*\)`).FindAllString(source(t), -1) {
		call = strings.ReplaceAll(call, "os.Interrupt", "SIGINT")
		for _, name := range regexp.MustCompile(`SIG[A-Z0-9]+`).FindAllString(call, -1) {
			n++
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%s does not name `%s` below Signals", operations, name)
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d signals in the source", n)
	}
}
