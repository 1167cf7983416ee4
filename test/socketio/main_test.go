package socketio

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// programs are the Go servers under test: their packages, by name.
var programs = map[string]string{
	"sioserver": "../sioserver",
	"extra":     "./extra",
	"chat":      "github.com/fe4bcecb/wsd/docs/examples/chat",
}

// binaries is the folder with the programs; TestMain builds them.
var binaries string

func TestMain(m *testing.M) { os.Exit(wsdproc.Main(m, run)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wsd-socketio-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binaries = dir
	for name, pkg := range programs {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", pkg, err, out)
			return 1
		}
	}
	return testkit.CheckLeaks(m)
}
