package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/fe4bcecb/wsd/cmd/wsd/conf"
)

// A value of each kind of flag, from each place.
func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	for _, tt := range []struct {
		flag                            string
		byDefault, inFile, inEnv, given string // as text; in the file as YAML
		file                            string // the YAML
	}{
		{"listen", "127.0.0.1:3000", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:1"},
		{"idle-timeout", "2m", "1s", "2s", "3s", "1s"},
		{"max-payload", "16KiB", "1KiB", "2KiB", "3KiB", "1KiB"},
		{"max-connections", "50000", "1", "2", "3", "1"},
		{"compression", "shared", "off", "dedicated", "shared", "'off'"},
		{"jwt-require-exp", "false", "true", "false", "true", "true"},
		{"start-page", "true", "false", "true", "false", "false"},
		{"origins", "[]", "[https://a.example https://b.example]", "[https://c.example https://d.example]", "[https://e.example]", `["https://a.example", "https://b.example"]`},
		{"redis-url", "[]", "[redis://a redis://b]", "[redis://c]", "[redis://d]", "\n  - redis://a\n  - redis://b"},
	} {
		t.Run(tt.flag, func(t *testing.T) {
			f := newFile(t, tt.flag+": "+tt.file+"\n")
			text := func(s string) string { return strings.Trim(s, "[]") }
			flag := "--" + tt.flag + "=" + strings.ReplaceAll(text(tt.given), " ", ",")
			expect := func(value, source string, args ...string) {
				t.Helper()
				for _, s := range parsed(t, append([]string{"serve"}, args...)...).settings() {
					if s.Name == tt.flag && (fmt.Sprint(s.value) != value || s.source != source) {
						t.Errorf("%v: %v from %s, want %s from %s", args, s.value, s.source, value, source)
					}
				}
			}
			expect(tt.byDefault, "default")
			expect(tt.inFile, f.name+":1", "--config", f.name)
			expect(tt.given, "flag", "--config", f.name, flag)
			env := conf.EnvName(tt.flag)
			t.Setenv(env, strings.ReplaceAll(text(tt.inEnv), " ", ","))
			expect(tt.inEnv, "env "+env)
			expect(tt.inEnv, "env "+env, "--config", f.name)
			expect(tt.given, "flag", "--config", f.name, flag)
			t.Setenv("WSD_CONFIG", f.name)
			expect(tt.inEnv, "env "+env)
		})
	}
}

// The file counts for what the command line does not say, whichever way it is named.
func TestConfigByEnvironment(t *testing.T) {
	t.Setenv("WSD_CONFIG", newFile(t, "max-payload: 1KiB\n").name)
	if c := parse(t); c.Serve.MaxPayload != 1<<10 {
		t.Errorf("%v", c.Serve.MaxPayload)
	}
	if c := parse(t, "serve", "--config", ""); c.Serve.MaxPayload != 16<<10 {
		t.Errorf("without a file: %v", c.Serve.MaxPayload)
	}
	if c := parse(t, "echo"); c.Echo.MaxPayload != 16<<10 {
		t.Errorf("echo has no file: %v", c.Echo.MaxPayload)
	}
}

// A secret that is said higher up hides the one below, also where one is a text and
// the other a file's name.
func TestSecretsOfOneLayer(t *testing.T) {
	f := newFile(t, "jwt-secret-file: below\nadmin-token: below\n")
	t.Setenv("WSD_JWT_SECRET", "above")
	t.Setenv("WSD_ADMIN_TOKEN_FILE", "above")
	c := parse(t, "serve", "--config", f.name).Serve
	if c.JWTSecret != "above" || c.JWTSecretFile != "" || c.AdminToken != "" || c.AdminTokenFile != "above" {
		t.Errorf("%q %q %q %q", c.JWTSecret, c.JWTSecretFile, c.AdminToken, c.AdminTokenFile)
	}
	c = parse(t, "serve", "--config", f.name, "--jwt-secret-file", "flag", "--admin-token", "flag").Serve
	if c.JWTSecret != "" || c.JWTSecretFile != "flag" || c.AdminToken != "flag" || c.AdminTokenFile != "" {
		t.Errorf("%q %q %q %q", c.JWTSecret, c.JWTSecretFile, c.AdminToken, c.AdminTokenFile)
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, file, env, args, says string }{
		{"key", "max-payload: 1KiB\n\norigin: x\n", "", "", ":3: unknown key origin: did you mean origins?"},
		{"key with underscores", "max_payload: 1KiB\n", "", "", ":1: unknown key max_payload: did you mean max-payload?"},
		{"key like nothing", "frobnicate: 1\n", "", "", ":1: unknown key frobnicate"},
		{"config in the file", "config: x\n", "", "", ":1: unknown key config"},
		{"help in the file", "help: true\n", "", "", ":1: unknown key help"},
		{"list", "max-payload: [1KiB]\n", "", "", ":1: max-payload: want one value, not a list"},
		{"keys below", "redis:\n  url: x\n", "", "", ":1: redis: want a value or a list"},
		{"no value", "max-payload:\n", "", "", ":1: max-payload has no value"},
		{"bool", "anonymous: maybe\n", "", "", `:1: anonymous: "maybe": want true or false`},
		{"int", "loops: many\n", "", "", ":1: loops: "},
		{"duration", "idle-timeout: 30\n", "", "", ":1: idle-timeout: "},
		{"enum", "compression: zip\n", "", "", `:1: compression: "zip": want one of off, shared, dedicated`},
		{"list in a list", "origins: [[a]]\n", "", "", ":1: origins: want texts in the list"},
		{"no mapping", "- a\n", "", "", ":1: want lines such as"},
		{"two documents", "loops: 1\n---\nloops: 2\n", "", "", "more than one document"},
		{"no YAML", "a: b: c\n", "", "", "wsd.yaml: yaml"},
		{"environment", "", "lots", "", `WSD_MAX_PAYLOAD: size "lots"`},
		{"flag", "", "", "--max-paylod=1", "did you mean \"--max-payload\"?"},
		{"flag far off", "", "", "--maxpayloadsize=1", "did you mean --max-payload?"},
		{"command", "", "", "pubish", "unexpected argument pubish"},
		{"command near one", "", "", "versoin", "did you mean version?"},
		{"no file", "", "", "--config=nowhere.yaml", "--config: open nowhere.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"serve"}
			if tt.file != "" {
				args = append(args, "--config", newFile(t, tt.file).name)
			}
			if tt.env != "" {
				t.Setenv("WSD_MAX_PAYLOAD", tt.env)
			}
			if tt.args != "" {
				args = append(args, tt.args)
			}
			_, err := invoke(args, io.Discard, io.Discard)
			if exitCode(err) != exitUsage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}

// The environment is read by invoke alone: kong's own way lets a file count more.
func TestNoFlagNamesItsVariable(t *testing.T) {
	parser, err := newParser(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && len(flag.Envs) > 0 {
			t.Errorf("--%s has a tag env", flag.Name)
		}
		return next(nil)
	})
}
