package vectors

import (
	"fmt"
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Node's process lives as long as the tests, so that it is no leak of theirs.
func TestMain(m *testing.M) {
	if err := node.start(); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
	code := testkit.CheckLeaks(m)
	node.stop()
	os.Exit(code)
}
