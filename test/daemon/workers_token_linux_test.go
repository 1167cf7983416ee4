package daemon

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// The parent's admin listener takes another token at SIGHUP, as its workers do, and keeps
// the one that it has where there is none.
func TestWorkersAdminToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	p := startWorkers(t, "--admin-token-file", file)
	// What the parent answers itself, and what a worker does.
	status := func(token, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	holds := func(token string, want int) bool {
		t.Helper()
		return status(token, "/v1/workers") == want && status(token, "/v1/nodes") == want
	}
	if !holds("first", 200) || !holds("second", 401) {
		t.Fatal("the first token is not in force")
	}
	write("second")
	p.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, func() bool { return holds("second", 200) && holds("first", 401) }, workersNeed)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	p.Signal(t, syscall.SIGHUP)
	testkit.Eventually(t, func() bool { return strings.Contains(p.Log(), "the admin token was not read again") }, workersNeed)
	if !holds("second", 200) {
		t.Error("the second token is not in force any more")
	}
	p.Alive(t)
}
