package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// patience bounds everything a test waits for that should not take long.
const patience = 30 * time.Second

// long makes faults last longer and come again.
var long = os.Getenv("WSD_LONG") != ""

// pick is a duration or a number for a short or a long run.
func pick[T any](short, longer T) T {
	if long {
		return longer
	}
	return short
}

// binaries is the folder with the programs; TestMain builds them.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wsd-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	for _, build := range []struct{ in, program, pkg string }{
		{".", "sioserver", "../sioserver"},
		{filepath.Join("..", ".."), "wsd", "./cmd/wsd"},
	} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, build.program), build.pkg)
		cmd.Dir = build.in
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", build.pkg, err, out)
			return 1
		}
	}
	return testkit.CheckLeaks(m)
}
