package daemon

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
	"github.com/fe4bcecb/wsd/test/wsdproc"
)

const sigterm = syscall.SIGTERM

// The commands that ask a server do what they say.
func TestCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := wsdproc.Start(t, append([]string{"serve", "--server-id", "me", "--admin-token-file", file, "--drain-lb-wait", "0s"}, sioArgs...)...)
	wsd := func(code int, stdin string, args ...string) string {
		t.Helper()
		out, errs, got := wsdproc.Run(t, stdin, append(args, "--admin-url", "http://"+s.Admin, "--admin-token-file", file)...)
		if got != code {
			t.Errorf("wsd %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
		}
		return out + errs
	}
	says := func(out string, all ...string) {
		t.Helper()
		for _, text := range all {
			if !strings.Contains(out, text) {
				t.Errorf("want %q in\n%s", text, out)
			}
		}
	}
	c := subscribe(t, s.Addr, "news")
	l := listen(t, s.Addr, listener{User: "ann", Rooms: []string{"room-1"}}, listener{User: "bob"})

	says(wsd(0, "", "publish", "news", "hello"), "1 subscribers")
	wsd(0, "from stdin\n", "publish", "news", "-")
	wsd(0, "\x00\xff", "publish", "news", "--binary")
	wsd(2, "\x00\xff", "publish", "news")
	wsd(0, "", "publish", "news", `{"a":1}`, "--id", "x")
	wsd(0, "", "publish", "news", `{"a":1}`, "--id", "x")
	var p published
	if err := json.Unmarshal([]byte(wsd(0, "", "publish", "news", "end", "--json")), &p); err != nil || p.Local != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	expectEvents(t, c, `text "hello"`, `text "from stdin\n"`, `binary "\x00\xff"`, `text "{\"a\":1}"`, `text "end"`)

	table := wsd(0, "", "conns")
	says(table, "ID", "BUFFERED", "raw", "sio", "ann", "bob", "/topics/{topic...}, 1 topics", "/ "+l.ids[0]+", 2 rooms", "3 of 3 that match, 3 connections of server me")
	var all connectionList
	if err := json.Unmarshal([]byte(wsd(0, "", "conns", "--user", "ann", "--json")), &all); err != nil || len(all.Connections) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	says(wsd(0, "", "conns", "--slow"), "0 of 0 that match")
	says(wsd(0, "", "conns", "--kind", "raw"), "1 of 1 that match")
	wsd(2, "", "conns", "--kind", "tcp")
	wsd(1, "", "conns", "--limit", "5000")
	says(wsd(0, "", "rooms"), "MEMBERS", "room-1", "user:ann")
	says(wsd(0, "", "topics"), "SUBSCRIBERS", "news", "1 of 1 topics of server me")
	says(wsd(0, "", "nodes"), "SERVER", "me", "yes")

	says(wsd(0, "", "kick", all.Connections[0].ID), "1 ended")
	l.expectGone(0)
	testkit.Eventually(t, func() bool { return strings.Contains(wsd(0, "", "conns", "--user", "ann"), "0 of 0 that match") }, patience)
	says(wsd(1, "", "kick", all.Connections[0].ID), "no such connection")
	says(wsd(0, "", "kick", "--user", "bob"), "1 ended")
	l.expectGone(1)
	wsd(2, "", "kick")
	wsd(2, "", "kick", "r1", "--user", "bob")
	wsd(2, "", "kick", "--nosuch")

	out, errs, code := wsdproc.Run(t, "", "conns", "--admin-url", "http://"+s.Admin)
	if says(out+errs, "admin token"); code != 1 {
		t.Errorf("without the token: %d", code)
	}
	free := testkit.FreePort(t)
	out, errs, code = wsdproc.Run(t, "", "conns", "--admin-url", "http://127.0.0.1:"+strconv.Itoa(free))
	if says(out+errs, "--admin-url"); code != 1 {
		t.Errorf("where nothing listens: %d", code)
	}

	health := func(code int, args ...string) {
		t.Helper()
		out, errs, got := wsdproc.Run(t, "", append([]string{"healthcheck"}, args...)...)
		if got != code {
			t.Errorf("wsd healthcheck %v: exit code %d, want %d: %s%s", args, got, code, out, errs)
		}
	}
	health(0, "--url", "http://"+s.Addr)
	health(0, "--url", "http://"+s.Addr, "--ready")
	health(0, "--listen", "0.0.0.0"+s.Addr[strings.LastIndex(s.Addr, ":"):])
	health(1, "--url", "http://127.0.0.1:"+strconv.Itoa(free))
	health(1, "--url", "http://"+s.Admin+"/", "--ready", "--timeout", "1ns")
	health(2, "--url", "127.0.0.1:3000")
	health(2, "--listen", "3000")

	c.Conn.Close()
	says(wsd(0, "", "drain", "--wait"), "draining", "has ended")
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, s.Log())
	}
	health(1, "--url", "http://"+s.Addr)
	wsd(1, "", "drain")
}
