package daemon

import (
	"fmt"
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// rounds is how often what wears a server is done: more often under WSD_LONG.
func rounds() int {
	if os.Getenv("WSD_LONG") != "" {
		return 10
	}
	return 1
}

func TestMain(m *testing.M) {
	if _, err := os.Stat("node_modules"); err != nil {
		fmt.Fprintf(os.Stderr, "%v: make deps installs it\n", err)
		os.Exit(1)
	}
	os.Exit(wsdproc.Main(m, testkit.CheckLeaks))
}
