package badinput

import (
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

func TestMain(m *testing.M) {
	os.Exit(wsdproc.Main(m, testkit.CheckLeaks))
}

// size is how much of a flood a run sends.
func size(usual, long int) int {
	if os.Getenv("WSD_LONG") != "" {
		return long
	}
	return usual
}
