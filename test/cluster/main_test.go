package cluster

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// sioserver is the program of a wsd node; TestMain builds it.
var sioserver string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if _, err := os.Stat("node_modules"); err != nil {
		fmt.Fprintf(os.Stderr, "%v: make deps installs it\n", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "wsd-cluster-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	sioserver = filepath.Join(dir, "sioserver")
	if out, err := exec.Command("go", "build", "-o", sioserver, "../sioserver").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	code := testkit.CheckLeaks(m)
	if err := table.write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
