package socketio

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// The chat of the documentation compiles, and its page talks to it.
func TestChatExample(t *testing.T) {
	modules(t)
	bin := filepath.Join(t.TempDir(), "chat")
	if out, err := exec.Command("go", "build", "-o", bin, "github.com/fe4bcecb/wsd/docs/examples/chat").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	port := testkit.FreePort(t)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	client, err := filepath.Abs("node_modules/socket.io-client/dist")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-listen", address, "-client", client)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	testkit.Eventually(t, func() bool {
		r, err := http.Get("http://" + address + "/")
		if err == nil {
			err = r.Body.Close()
		}
		return err == nil
	}, 20*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	page := exec.CommandContext(ctx, lookPath(t, "node"), "js/chat.mjs", "http://"+address)
	page.Env = append(os.Environ(), "CHROMIUM="+lookPath(t, "chromium", "chromium-browser"))
	if out, err := page.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
