package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// wsd runs a command and returns its exit code with what it printed.
func wsd(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(context.Background(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestConfigCheck(t *testing.T) {
	for _, tt := range []struct{ name, file, says string }{
		{"fine", "max-payload: 1KiB\n", ""},
		{"key", "max-paylod: 1KiB\n", ":1: unknown key max-paylod: did you mean max-payload?"},
		{"flags that don't fit", "drain-lb-wait: 1m\n", "--drain-lb-wait"},
		{"flag of serve and echo", "loops: -1\n", "--loops"},
		{"origin", "origins: [x]\n", "--origins x"},
		{"CORS", "cors-origin: ['*']\ncors-credentials: true\n", "--cors-credentials"},
		{"relay", "sio-relay: [disconnect]\n", "--sio-relay"},
		{"secret's file", "jwt-secret-file: nowhere\n", "--jwt-secret-file: open nowhere"},
		{"two secrets", "jwt-secret: a\njwt-secret-file: b\n", "want one"},
		{"client's folder", "client-dir: nowhere\n", "--client-dir"},
		{"open to all", "listen: 0.0.0.0:3000\n", "--anonymous"},
		{"address", "listen: '3000'\n", "want host:port"},
		{"admin open to all", "admin-listen: 0.0.0.0:9090\n", "--admin-token-file"},
		{"admin address", "admin-listen: here\n", "want host:port or off"},
		{"admin off", "admin-listen: off\n", ""},
		{"Redis", "adapter: streams\nredis-url: ['http://x']\n", "--redis-url"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFile(t, tt.file)
			code, stdout, stderr := wsd(t, "config", "check", "--config", f.name)
			want := exitUsage
			if tt.says == "" {
				want = 0
			}
			if code != want || !strings.Contains(stderr, tt.says) || want == 0 && !strings.Contains(stdout, f.name) {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
		})
	}
}

func TestConfigPrint(t *testing.T) {
	f := newFile(t, "jwt-secret: hunter2\nredis-url:\n  - redis://u:hunter2@h:1/0\n  - rediss://:hunter2@h\nadapter: classic\nmax-payload: 1KiB\n")
	t.Setenv("WSD_ADMIN_TOKEN", "hunter2")
	t.Setenv("SERVER_ID", "ws7")
	code, out, stderr := wsd(t, "config", "print", "--config", f.name, "--loops", "3")
	if code != 0 || strings.Contains(out, "hunter2") {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
	lines := regexp.MustCompile(` +# `).ReplaceAllString(out, " # ")
	for _, line := range []string{
		"jwt-secret: '***' # " + f.name + ":1",
		"redis-url: ['redis://u:***@h:1/0', 'rediss://:***@h'] # " + f.name + ":2",
		"max-payload: 1KiB # " + f.name + ":6",
		"admin-token: '***' # env WSD_ADMIN_TOKEN",
		"server-id: ws7 # env SERVER_ID",
		"loops: 3 # flag",
		"idle-timeout: 2m # default",
	} {
		if !strings.Contains(lines, line+"\n") {
			t.Errorf("no line %q in\n%s", line, lines)
		}
	}
}

// What config print says of a server with nothing set, and what config default has
// with its comments taken away, are configurations of the same server.
func TestConfigFilesPassTheCheck(t *testing.T) {
	_, printed, _ := wsd(t, "config", "print")
	_, commented, _ := wsd(t, "config", "default")
	settings, err := serveSettings()
	if err != nil {
		t.Fatal(err)
	}
	whole := commented
	for _, s := range settings {
		if s.Hidden || s.Name == configFlag {
			continue
		}
		if !strings.Contains(commented, "\n#"+s.Name+": ") {
			t.Errorf("config default does not have %s", s.Name)
		}
		if s.HasDefault || s.IsBool() {
			whole = strings.Replace(whole, "\n#"+s.Name+": ", "\n"+s.Name+": ", 1)
		}
	}
	for name, text := range map[string]string{"print": printed, "default": commented, "default, without comments": whole} {
		f := newFile(t, text)
		if code, _, stderr := wsd(t, "config", "check", "--config", f.name); code != 0 {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
		for i, s := range parsed(t, "serve", "--config", f.name).settings() {
			if s.Name != configFlag && !sameValue(s.value, settings[i].value) {
				t.Errorf("%s: %s is %v, want %v", name, s.Name, s.value, settings[i].value)
			}
		}
	}
}

func TestConfigEnv(t *testing.T) {
	_, out, _ := wsd(t, "config", "env")
	for _, name := range []string{"WSD_CONFIG ", "WSD_MAX_PAYLOAD ", "WSD_JWT_SECRET_FILE ", "WSD_ADMIN_TOKEN_FILE ", "WSD_REDIS_URL_FILE ", "WSD_ALLOW_EIO3 ", "SERVER_ID", "REDIS_URL"} {
		if !strings.Contains(out, name) {
			t.Errorf("no %s", name)
		}
	}
}

func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	t.Setenv("WSD_MAX_PAYLOD", "1")
	t.Setenv("WSD_SERVICE_PORT_HTTP", "1") // as Kubernetes does for a service named wsd
	t.Setenv("WSD_PORT_3000_TCP_ADDR", "10.0.0.1")
	code, _, stderr := wsd(t, "config", "check")
	if code != 0 || !strings.Contains(stderr, "WSD_MAX_PAYLOD: did you mean WSD_MAX_PAYLOAD?") || strings.Contains(stderr, "PORT") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
}

// Whatever is a secret can also be given as a file, and is not printed.
func TestSecretsCanBeFiles(t *testing.T) {
	settings, err := serveSettings()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range settings {
		names[s.Name] = true
	}
	n := 0
	for name := range names {
		if isSecret(name) {
			n++
			if !names[name+"-file"] {
				t.Errorf("--%s has no --%s-file", name, name)
			}
		}
	}
	if n < 2 {
		t.Errorf("only %d secrets", n)
	}
}

func TestPortInUseNamesTheProcess(t *testing.T) {
	r := serve(t)
	for _, args := range [][]string{{"--listen", r.addr}, {"--listen", "127.0.0.1:0", "--admin-listen", r.addr}} {
		code, _, stderr := wsd(t, append([]string{"serve"}, args...)...)
		if code != exitBind || !strings.Contains(stderr, "the port is in use") {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		if _, err := os.Stat("/proc/net/tcp"); err == nil && !strings.Contains(stderr, "by process "+strconv.Itoa(os.Getpid())+" (") {
			t.Errorf("it does not say by whom: %s", stderr)
		}
	}
}
