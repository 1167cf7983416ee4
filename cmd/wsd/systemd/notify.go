package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Notifier tells systemd about the service. A nil one tells nobody. Its methods are
// safe from any goroutine.
type Notifier struct {
	mu       sync.Mutex
	conn     *net.UnixConn
	watchdog time.Duration
}

// sendTimeout bounds how long a full socket of systemd's may hold the caller up.
const sendTimeout = time.Second

// NewNotifier reaches the socket of NOTIFY_SOCKET; it is nil without that variable.
// Like Listeners it takes its variables out of the environment.
func NewNotifier() (*Notifier, error) {
	address, usec, pid := os.Getenv("NOTIFY_SOCKET"), os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		_ = os.Unsetenv(name)
	}
	if address == "" {
		return nil, nil
	}
	if strings.HasPrefix(address, "@") {
		address = "\x00" + address[1:] // an abstract one
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("systemd: NOTIFY_SOCKET: %w", err)
	}
	n := &Notifier{conn: conn}
	if us, err := strconv.ParseInt(usec, 10, 64); err == nil && us > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.watchdog = time.Duration(us) * time.Microsecond
	}
	return n, nil
}

// Watchdog is how often systemd wants to hear Alive at the latest, 0 for never.
func (n *Notifier) Watchdog() time.Duration {
	if n == nil {
		return 0
	}
	return n.watchdog
}

// Ready says that the service is up, or that it has reloaded.
func (n *Notifier) Ready(status string) error { return n.send("READY=1", status) }

// Reloading says that the service reads its configuration again; Ready ends that.
func (n *Notifier) Reloading() error {
	return n.send("RELOADING=1\nMONOTONIC_USEC="+strconv.FormatInt(monotonic().Microseconds(), 10), "")
}

// Stopping says that the service ends, and that this may take so long from now on,
// whatever TimeoutStopSec= says.
func (n *Notifier) Stopping(within time.Duration, status string) error {
	return n.send("STOPPING=1\nEXTEND_TIMEOUT_USEC="+strconv.FormatInt(within.Microseconds(), 10), status)
}

// Status is a line for people.
func (n *Notifier) Status(status string) error { return n.send("", status) }

// Alive feeds the watchdog.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1", "") }

// send sends lines and a status, as far as they are not empty.
func (n *Notifier) send(lines, status string) error {
	if n == nil {
		return nil
	}
	if status != "" {
		lines = strings.TrimPrefix(lines+"\nSTATUS="+strings.ReplaceAll(status, "\n", " "), "\n")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	_ = n.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	if _, err := n.conn.Write([]byte(lines)); err != nil {
		return fmt.Errorf("systemd: %w", err)
	}
	return nil
}

// Close ends it.
func (n *Notifier) Close() error {
	if n == nil {
		return nil
	}
	return n.conn.Close()
}
