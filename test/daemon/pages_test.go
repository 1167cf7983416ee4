package daemon

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/wsdproc"
)

// browse opens a page in headless Chromium and returns what has become of its document.
func browse(t *testing.T, address string) string {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if path, err = exec.LookPath("chromium-browser"); err != nil {
			t.Fatalf("%v: make test installs it", err)
		}
	}
	profile, err := os.MkdirTemp("", "wsd-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile) // a process of the browser's may still write there
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+profile,
		"--virtual-time-budget=5000", "--dump-dom", address)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// The chat page connects again when the server was away.
func TestChatPageReturns(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "node", "js/chat.mjs").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The dashboard shows names that clients chose as what they are: as no markup, and
// without characters that turn the text around.
func TestDashboardShowsNames(t *testing.T) {
	s := wsdproc.Start(t, "serve", "--drain-lb-wait", "0s")
	for _, name := range []string{"<img src=x>", "a\u202eevil", "b\x1b\u200bc"} {
		subscribe(t, s.Addr, url.PathEscape(name))
	}
	document := browse(t, "http://"+s.Admin+"/")
	_, body, _ := strings.Cut(document, "<main")
	body, _, ok := strings.Cut(body, "</main>")
	for _, want := range []string{">&lt;img src=x&gt;<", ">a\ufffdevil<", ">b\ufffd\ufffdc<", "3 with subscribers"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	if !ok || strings.Contains(body, "<img") || strings.ContainsAny(document, "\u202e\x1b\u200b") || t.Failed() {
		t.Errorf("%s", body)
	}
}
