package clients

import (
	"os"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

func TestMain(m *testing.M) {
	os.Exit(wsdproc.Main(m, testkit.CheckLeaks))
}

// modes are the server's settings of --compression, each with the clients that
// offer it and those that do not.
var modes = []string{"off", "shared", "dedicated"}

func serve(t *testing.T, args ...string) *wsdproc.Process {
	return wsdproc.Start(t, append([]string{"serve", "--drain-lb-wait", "0s"}, args...)...)
}
