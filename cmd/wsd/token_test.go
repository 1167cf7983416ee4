package main

import (
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/internal/auth"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestTopicsByToken(t *testing.T) {
	r := serve(t, "--jwt-secret", testSecret, "--token-query", "token")
	may := token(t, func(g *auth.Grant) { g.Subscribe = []string{"news/*", "own/{sub}"}; g.Publish = []string{"own/{sub}"} })
	for _, tt := range []struct {
		target string
		header http.Header
		status int
	}{
		{"/topics/news/a", nil, 401},
		{"/echo", nil, 401},
		{"/echo?token=x.y.z", nil, 401},
		{"/echo?token=" + may, nil, 101},
		{"/echo", http.Header{"Authorization": {"Bearer " + may}}, 101},
		{"/topics/own/ann?token=" + may, nil, 101},
		{"/topics/news/a?mode=sub&token=" + may, nil, 101},
		{"/topics/news/a?token=" + may, nil, 403},
		{"/topics/own/bob?mode=sub&token=" + may, nil, 403},
		{"/topics/own/ann?topic=secret&token=" + may, nil, 403},
		{"/topics/own/ann?mode=x&token=" + may, nil, 400},
	} {
		c, err := dial("ws://"+r.addr+tt.target, tt.header)
		if got := status(err); got != tt.status {
			t.Errorf("%.40s: %d (%v), want %d", tt.target, got, err, tt.status)
		}
		if err == nil {
			c.conn.Close()
		}
	}
}

func TestTokenCommand(t *testing.T) {
	t.Setenv("WSD_JWT_SECRET", testSecret)
	var out lockedBuffer
	args := []string{"token", "ann", "--room", "hall", "--allow-join", "room/*", "--allow-publish", "news", "--expires", "1m"}
	if code := execute(t.Context(), args, &out, &out); code != 0 {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	r := serve(t, "--sio-relay", "say") // the secret comes from the environment
	ann := r.connect("/", withToken(strings.TrimSpace(out.String())))
	ann.must("ok", `"join","room/1"`)
	ann.must(codeForbidden, `"join","hall/1"`)
	ann.must("ok", `"say","news"`)
}

// Tokens do not get into the log, wherever they come from.
func TestTokensAreNotLogged(t *testing.T) {
	c := spawn(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--jwt-secret", testSecret, "--token-query", "token", "--token-cookie", "session", "--drain-lb-wait", "0s")
	r := &running{t: t, addr: c.addr}
	bad := strings.Replace(token(t), ".", ".x", 1)
	for _, given := range []string{token(t), bad} {
		r.fetch(http.MethodGet, sioPolling+"&token="+given, nil)
		for _, header := range []http.Header{nil, {"Cookie": {"session=" + given}}, {"Authorization": {"Bearer " + given}}} {
			socket := r.open(sioSocket+"&token="+given, header)
			socket.enter("/", withToken(given))
			socket.conn.Close()
			if raw, err := dial("ws://"+r.addr+"/echo?token="+given, header); err == nil {
				raw.conn.Close()
			}
		}
	}
	c.cmd.Process.Signal(os.Interrupt)
	if code := c.exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, secret := range []string{testSecret, bad[10:50]} {
		if strings.Contains(c.stderr.String(), secret) {
			t.Errorf("%.20s in the log:\n%s", secret, &c.stderr)
		}
	}
}

func TestInsecureSwitchesAreCounted(t *testing.T) {
	for want, args := range [][]string{nil, {"--anonymous"}, {"--anonymous", "--insecure-user-from", "auth.userId"}} {
		if got := serve(t, args...).metric("wsd_insecure_switches"); got != float64(want) {
			t.Errorf("%v: %v", args, got)
		}
	}
}

// No switch that lowers the guard is silent (centrifugo GHSA-q926-c743-49qj).
func TestInsecureSwitchesAreLoud(t *testing.T) {
	c := spawn(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--insecure-user-from", "auth.userId", "--anonymous", "--drain-lb-wait", "0s")
	c.cmd.Process.Signal(os.Interrupt)
	c.exit()
	for _, want := range []string{"--insecure-user-from", "--anonymous"} {
		if !strings.Contains(c.stderr.String(), `"level":"WARN","msg":"`+want) {
			t.Errorf("no warning of %s:\n%s", want, &c.stderr)
		}
	}
}

func TestKeySetThatIsDownAtStart(t *testing.T) {
	down := "http://127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)) + "/keys"
	c := spawn(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--jwks-url", "issuer="+down, "--drain-lb-wait", "0s")
	testkit.Eventually(t, func() bool { return strings.Contains(c.stderr.String(), "keys of tokens") }, patience)
	_, answer := (&running{t: t, addr: c.addr}).open(sioSocket, nil).enter("/", withToken(token(t, func(g *auth.Grant) { g.Issuer = "issuer" })))
	if !strings.Contains(answer, `"code":"unavailable"`) || strings.Contains(answer, down) {
		t.Errorf("%s", answer)
	}
}

func TestJWKSSource(t *testing.T) {
	for given, want := range map[string]auth.Source{
		"https://a.example/keys":                      {JWKS: "https://a.example/keys"},
		"me=https://a.example/keys":                   {Issuer: "me", JWKS: "https://a.example/keys"},
		"https://a.example/=https://a.example/keys":   {Issuer: "https://a.example/", JWKS: "https://a.example/keys"},
		"https://a.example/keys?x=y":                  {JWKS: "https://a.example/keys?x=y"},
		"me=http://127.0.0.1/keys":                    {Issuer: "me", JWKS: "http://127.0.0.1/keys"},
		"https://a.example/x=https://a.example/k?a=b": {Issuer: "https://a.example/x", JWKS: "https://a.example/k?a=b"},
	} {
		if got := jwksSource(given); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", given, got)
		}
	}
}

func TestListenWithTokens(t *testing.T) {
	c := parse(t, "serve", "--admin-listen", "127.0.0.1:0", "--listen", "0.0.0.0:0", "--jwt-secret", testSecret, "--drain-lb-wait", "0s")
	if err := c.Serve.check(); err != nil {
		t.Fatal(err)
	}
	start(t, c.Serve.config(&process{stdout: io.Discard, stderr: io.Discard}))
}
