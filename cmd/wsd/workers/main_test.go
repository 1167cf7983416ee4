package workers

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

const patience = 20 * time.Second

// conduct is the environment variable that says how a test's worker behaves.
const conduct = "WORKERS_TEST_CONDUCT"

func TestMain(m *testing.M) {
	if os.Getenv(Marker) != "" {
		behave(os.Getenv(conduct))
	}
	os.Exit(testkit.CheckLeaks(m))
}

// behave is a worker of a test.
func behave(how string) {
	w, err := Inherit()
	if err != nil {
		os.Exit(99)
	}
	if code, err := strconv.Atoi(how); err == nil {
		os.Exit(code) // before it serves
	}
	if how == "starts" {
		select {} // and never serves
	}
	reports := 0
	w.Report(func() State {
		reports++
		switch {
		case how == "dies" && reports == 2:
			os.Exit(7)
		case how == "hangs" && reports == 2:
			select {}
		}
		return State{Connections: w.Index, Limit: w.Part(10), Accepting: true}
	}, func() { os.Exit(98) })
	select {}
}
