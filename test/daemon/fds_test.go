package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/rawws"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

const fdRefusals = `wsd_connections_rejected_total{reason="fd"}`

// stayOnHTTP connects and asks, and keeps the connection: --max-connections doesn't
// count it. The error is ErrClosed when the server ends it at once.
func stayOnHTTP(t *testing.T, address string) (*rawws.Conn, error) {
	t.Helper()
	c, err := rawws.Dial(address)
	if err != nil {
		t.Fatal(err) // not even the kernel takes it
	}
	t.Cleanup(func() { c.Conn.Close() })
	if err := c.Send([]byte("GET /health HTTP/1.1\r\nHost: " + address + "\r\n\r\n")); err != nil {
		return nil, rawws.ErrClosed // a reset that came before
	}
	if _, err := c.ReadResponse(); os.IsTimeout(err) {
		return nil, err
	} else if err != nil {
		return nil, rawws.ErrClosed
	}
	return c, nil
}

// cpuTicks is the time that a process has used, in hundredths of a second.
// proc_pid_stat(5)
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	var user, system int
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		t.Fatal(err)
	}
	return user + system
}

// TestDescriptorsRunOut: when clients have taken every descriptor that they may have,
// further ones are closed at once, those that are there are served, operators still
// get through, and nothing spins; when some are free again clients are welcome.
func TestDescriptorsRunOut(t *testing.T) {
	p := wsdproc.StartLimited(t, 200, "serve", "--loops", "2", "--max-connections", "1000", "--idle-timeout", "0s", "--drain-lb-wait", "0s")
	var good, http11 []*rawws.Conn
	for range 20 {
		good = append(good, open(t, p.Addr, "/echo"))
	}
	for {
		c, err := stayOnHTTP(t, p.Addr)
		if errors.Is(err, rawws.ErrClosed) {
			break
		}
		if err != nil || len(http11) == 200 {
			t.Fatalf("connection %d: %v", len(http11), err)
		}
		http11 = append(http11, c)
	}
	t.Logf("refused after %d", len(good)+len(http11))
	before := cpuTicks(t, p.PID)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	refused := 0
	for end := time.Now().Add(time.Second); time.Now().Before(end); <-tick.C {
		// Each ends soon: reading waits 10 seconds at most, and that is another error.
		if _, err := stayOnHTTP(t, p.Addr); !errors.Is(err, rawws.ErrClosed) {
			t.Fatalf("one more client: %v", err)
		}
		refused++
		sayHello(t, good[refused%len(good)])
	}
	if used := cpuTicks(t, p.PID) - before; used > 50 {
		t.Errorf("%d%% of a second with %d refused clients are spent", used, refused)
	}
	for range 5 {
		// They know before they are counted.
		testkit.Eventually(t, func() bool { return metric(t, p, fdRefusals) >= float64(refused) }, drainPatience)
	}
	if n := metric(t, p, "wsd_accept_pauses_total"); n != 0 {
		t.Errorf("accepting has paused %v times", n)
	}
	if code, body := get(t, p.Admin, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "descriptors: ") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if !strings.Contains(p.Log(), `"reason":"fd"`) {
		t.Errorf("the log does not tell:\n%s", p.Log())
	}

	for _, c := range http11 {
		c.Reset()
	}
	testkit.Eventually(t, func() bool { return status(p.Admin, "/readyz") == http.StatusOK }, drainPatience)
	sayHello(t, open(t, p.Addr, "/echo"))
	for _, c := range good {
		sayHello(t, c)
	}
	p.Alive(t)
}
