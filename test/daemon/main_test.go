package daemon

import (
	"fmt"
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

func TestMain(m *testing.M) {
	if _, err := os.Stat("node_modules"); err != nil {
		fmt.Fprintf(os.Stderr, "%v: make deps installs it\n", err)
		os.Exit(1)
	}
	os.Exit(wsdproc.Main(m, testkit.CheckLeaks))
}
