// Testsum runs `go test` in one or more modules, shows a line per package and
// the output of what failed, and ends with one line over all of them:
//
//	812 passed, 0 failed
//
// Each argument is one run: a folder, then what `go test` gets.
//
//	testsum ". -race -shuffle=on ./..." "test ./..."
//
// Tests and sub-tests count alike. A skipped test is a failure, unless it said
// WSD_LONG: what only `make test-long` runs in full. It exits with 1 when
// anything failed.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, `usage: testsum "folder [go test arguments]" ...`)
		os.Exit(2)
	}
	sum := newSummary(os.Stdout)
	for _, arg := range os.Args[1:] {
		if err := run(sum, strings.Fields(arg)); err != nil {
			sum.fault(err.Error())
		}
	}
	if !sum.finish() {
		os.Exit(1)
	}
}

// run calls `go test -json` in the folder words[0] and adds what it prints.
func run(sum *summary, words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("an empty run")
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, words[1:]...)...)
	cmd.Dir = words[0]
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	failedBefore := sum.failed
	err = sum.read(out)
	if err != nil {
		// go test must not block on a full pipe.
		_, _ = io.Copy(io.Discard, out)
	}
	exit := cmd.Wait()
	if err != nil {
		return fmt.Errorf("go test in %s: %w", words[0], err)
	}
	if exit != nil && sum.failed == failedBefore {
		return fmt.Errorf("go test in %s: %w", words[0], exit)
	}
	return nil
}
