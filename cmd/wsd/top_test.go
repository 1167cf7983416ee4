package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// ask runs `wsd args` here.
func ask(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = execute(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestTopOnce(t *testing.T) {
	r := serve(t, "--admin-token", "open sesame", "--server-id", "me")
	c := r.dial("/topics/news%1b%5b31m", nil) // an escape sequence for terminals
	c.send(1, "x")
	url := "--admin-url=http://" + r.admin
	code, out, stderr := ask(t, "top", "--once", "--json", url, "--admin-token", "open sesame")
	var x overview
	if err := json.Unmarshal([]byte(out), &x); code != 0 || err != nil || x.Nodes[0].ID != "me" {
		t.Fatalf("%d, %s, %s: %v", code, out, stderr, err)
	}
	testkit.Eventually(t, func() bool { // topics are looked at now and then
		code, out, stderr = ask(t, "top", "--once", url, "--admin-token", "open sesame")
		return code != 0 || strings.Contains(out, "news")
	}, patience)
	if code != 0 || !strings.Contains(out, "wsd me") || !strings.Contains(out, "connections") || strings.Contains(out, "\x1b") {
		t.Errorf("%d, %q, %s", code, out, stderr)
	}
	for want, args := range map[string][]string{
		"admin-token": {"top", "--once", url},
		"--admin-url": {"top", "--once", "--admin-url=http://127.0.0.1:1"},
		"with --once": {"top", "--json", url},
		"http://host": {"top", "--once", "--admin-url=nonsense"},
	} {
		if code, _, stderr := ask(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%v: %d, %s", args, code, stderr)
		}
	}
}

// A frame fits its terminal, whatever the names are.
func TestTopFrameFits(t *testing.T) {
	long := strings.Repeat("日本語\x1b[2J\u202eé", 40)
	rate := 12345.6
	x := overview{Time: time.Now(), History: history{Columns: historyColumns}}
	for range 40 {
		x.Nodes = append(x.Nodes, nodeSummary{ID: long, Version: long, State: stateOK, Broker: &brokerView{Reason: long}})
		x.Node.Topics.Top = append(x.Node.Topics.Top, placeView{Name: long, Members: 1 << 40, FanOut: &rate})
		x.Node.Rooms.Top = append(x.Node.Rooms.Top, placeView{Namespace: long, Name: long})
		x.Node.Slowest = append(x.Node.Slowest, clientView{Remote: long, User: long, Buffered: 1 << 50})
		x.Node.Trouble = append(x.Node.Trouble, trouble{What: long, Reason: long, Total: 1 << 60, Rate: 1e12})
	}
	for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}, {20, 3}, {1, 1}, {300, 100}} {
		for _, top := range []*top{{last: x}, {last: overview{Nodes: []nodeSummary{{ID: "me"}}}}} {
			f := frame{top: top, width: size[0], height: size[1], keys: true, now: time.Now()}
			lines := f.lines()
			if len(lines) > size[1] {
				t.Errorf("%v: %d lines", size, len(lines))
			}
			for _, line := range lines {
				if size[0] >= 40 && columns(line) > size[0] || strings.ContainsAny(line, "\x1b\u202e\n") || !utf8.ValidString(line) {
					t.Errorf("%v: %d columns: %q", size, columns(line), line)
				}
			}
		}
	}
}
