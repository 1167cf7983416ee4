package conf_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/fe4bcecb/wsd/cmd/wsd/conf"
)

func TestNearest(t *testing.T) {
	names := []string{"max-payload", "max-connections", "origins", "log-level", "listen", "admin-listen"}
	for given, want := range map[string]string{
		"max-paylod": "max-payload", "maxPayload": "max-payload", "MAX_PAYLOAD": "max-payload",
		"origin": "origins", "loglevel": "log-level", "lisen": "listen", "admin-lisen": "admin-listen",
		"max-con": "max-connections", "frobnicate": "", "": "", "x": "",
	} {
		if got := conf.Nearest(given, names); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	environ := []string{
		"PATH=/bin", "WSD_LISTEN=x", "WSD_LISEN=x", "WSDX=1", "WSD_FROBNICATE",
		"WSD_SERVICE_HOST=10.0.0.1", "WSD_SERVICE_PORT=1", "WSD_SERVICE_PORT_HTTP=1", "WSD_PORT=tcp://10.0.0.1:1",
		"WSD_PORT_3000_TCP=x", "WSD_PORT_3000_TCP_PROTO=tcp", "WSD_ADMIN_SERVICE_HOST=x", "WSD_ADMIN_PORT_9090_TCP_ADDR=x",
	}
	want := []string{"WSD_FROBNICATE", "WSD_LISEN: did you mean WSD_LISTEN?"}
	if got := conf.UnknownVariables(environ, []string{"WSD_LISTEN", "WSD_CONFIG"}); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// No file makes the reader fail otherwise than by an error.
func FuzzFile(f *testing.F) {
	for _, text := range []string{"", "# nothing\n", "size: 1\nlist: [a, b]\nyes: true\n", "a: &x [b]\nlist: *x\n", "? [a]\n: b\n", "<<: {size: 1}\n", "size: !!binary x\n", "list:\n- a\n- [b]\n", "---\n---\n", "~\n", "size: ~\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(t.TempDir(), "f.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := conf.ReadFile(name)
		if err != nil {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		var grammar struct {
			Size int
			List []string
			Yes  bool
		}
		layers := &conf.Layers{File: file, Env: func(string) (string, bool) { return "", false }}
		parser, err := kong.New(&grammar, kong.Resolvers(kong.ResolverFunc(layers.Resolve)))
		if err != nil {
			t.Fatal(err)
		}
		if layers.Check(parser.Model.Flags) == nil {
			if _, err := parser.Parse(nil); err != nil {
				t.Errorf("checked, and yet: %v", err)
			}
		}
	})
}

func TestFileIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(name, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := conf.ReadFile(name); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("%v", err)
	}
}
