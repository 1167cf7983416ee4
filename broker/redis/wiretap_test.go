package redis_test

import (
	"bufio"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// wiretap is a connection of a test's own that keeps what a server sends it.
type wiretap struct {
	c net.Conn

	mu    sync.Mutex
	lines []string
}

// tap sends a command and keeps all lines that follow.
func tap(t *testing.T, server *testkit.Redis, command string) *wiretap {
	t.Helper()
	c, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{c: c}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	go func() {
		defer close(done)
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			w.mu.Lock()
			w.lines = append(w.lines, strings.TrimRight(line, "\r\n"))
			w.mu.Unlock()
		}
	}()
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return len(w.all()) > 0 }, patience)
	return w
}

func (w *wiretap) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.lines)
}

// monitor keeps every command that a server gets.
func monitor(t *testing.T, server *testkit.Redis) *wiretap { return tap(t, server, "MONITOR") }

var monitored = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// commands are those of some names that came so far, in words, without what
// probes send.
func (w *wiretap) commands(t *testing.T, names ...string) (all [][]string) {
	t.Helper()
	for _, line := range w.all() {
		var words []string
		for _, quoted := range monitored.FindAllString(line, -1) {
			word, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			words = append(words, word)
		}
		if len(words) < 2 || !slices.Contains(names, strings.ToUpper(words[0])) || !strings.Contains(words[1], "#/") {
			continue
		}
		words[0] = strings.ToUpper(words[0])
		all = append(all, words)
	}
	return all
}

// published waits for n publications, and returns channel and payload of each.
func (w *wiretap) published(t *testing.T, n int) (all [][]string) {
	t.Helper()
	testkit.Eventually(t, func() bool {
		all = w.commands(t, "PUBLISH", "SPUBLISH")
		return len(all) >= n
	}, patience)
	if len(all) > n {
		t.Fatalf("%d publications, want %d: %q", len(all), n, all[n:])
	}
	return all
}

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second
