package socketio_test

import (
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }
