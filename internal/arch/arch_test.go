package arch

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree holds the rules over the repository.
func TestTree(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Go) < 20 || len(tree.Text) < len(tree.Go) {
		t.Fatalf("only %d Go files and %d texts were found: is this the root?", len(tree.Go), len(tree.Text))
	}
	for _, rule := range Rules {
		t.Run(rule.Name, func(t *testing.T) {
			for _, bad := range rule.Check(tree) {
				t.Error(bad)
			}
		})
	}
}

// TestRulesCanFail gives each rule a tree that breaks it and one beside it
// that does not.
func TestRulesCanFail(t *testing.T) {
	const mod = Module
	tests := []struct {
		rule string
		bad  map[string]string // path -> contents; every file breaks the rule
		good map[string]string
	}{
		{
			rule: "imports point down",
			bad: map[string]string{
				"codec/frame/a.go":        `package frame; import _ "` + mod + `/engine"`,
				"broker/a.go":             `package broker; import _ "` + mod + `/engine"`,
				"engine/a.go":             `package engine; import _ "` + mod + `/engine/socketio"`,
				"engine/engineio/a.go":    `package engineio; import _ "` + mod + `/engine/socketio"`,
				"engine/b_windows.go":     "//go:build windows\n\npackage engine; import _ \"" + mod + `/broker/redis"`,
				"internal/conv/a.go":      `package conv; import _ "` + mod + `/internal/poll"`,
				"utils/a.go":              `package utils`,
				"codec/frame/internal.go": `package frame; import _ "` + mod + `/nowhere"`,
			},
			good: map[string]string{
				"engine/a.go":          `package engine; import (_ "` + mod + `/broker"; _ "` + mod + `/codec/frame"; _ "` + mod + `/internal/poll")`,
				"engine/a_test.go":     `package engine_test; import _ "` + mod + `/internal/testkit"`,
				"engine/socketio/a.go": `package socketio; import _ "` + mod + `/engine/engineio"`,
				"codec/deflate/a.go":   `package deflate; import _ "` + mod + `/codec/frame"`,
				"test/go.mod":          "module x",
				"test/sub/a.go":        `package sub; import _ "` + mod + `/engine"`,
				"engine/testdata/a.go": `package x; import _ "` + mod + `/cmd/wsd"`,
			},
		},
		{
			rule: "codec is pure bytes",
			bad: map[string]string{
				"codec/frame/a.go":   `package frame; import _ "net/http"`,
				"codec/frame/b.go":   `package frame; func f() { go f() }`,
				"codec/deflate/a.go": `package deflate; var c chan int`,
				"codec/deflate/b.go": `package deflate; import _ "os"`,
			},
			good: map[string]string{
				"codec/frame/a.go":      `package frame; import (_ "io"; _ "net/netip")`,
				"codec/frame/a_test.go": `package frame; import _ "os"`,
				"engine/a.go":           `package engine; import _ "net"; func f() { go f() }`,
			},
		},
		{
			rule: "unsafe stays in its rooms",
			bad: map[string]string{
				"engine/a.go":           `package engine; import _ "unsafe"`,
				"codec/frame/a_test.go": `package frame; import _ "unsafe"`,
				"broker/a.go":           "package broker\n\n//go:linkname now runtime.nanotime\nfunc now() int64",
			},
			good: map[string]string{
				"internal/conv/a.go": `package conv; import _ "unsafe"`,
				"internal/poll/a.go": "package poll\n\n//go:linkname now runtime.nanotime\nfunc now() int64",
			},
		},
		{
			rule: "netpoll stays behind internal/poll",
			bad: map[string]string{
				"engine/a.go": `package engine; import _ "github.com/cloudwego/netpoll"`,
				"bench/a.go":  `package bench; import _ "github.com/cloudwego/netpoll/mux"`,
			},
			good: map[string]string{
				"internal/poll/a.go": `package poll; import _ "github.com/cloudwego/netpoll"`,
			},
		},
		{
			rule: "flags, environment and configuration files are the programs'",
			bad: map[string]string{
				"engine/a.go": `package engine; import _ "flag"`,
				"bench/a.go":  `package bench; import _ "github.com/alecthomas/kong"`,
				"broker/a.go": `package broker; import "os"; var x = os.Getenv("X")`,
				"broker/b.go": `package broker; import sys "os"; var x, _ = sys.LookupEnv("X")`,
			},
			good: map[string]string{
				"cmd/wsd/a.go":     `package main; import ("os"; _ "github.com/alecthomas/kong"); var x = os.Getenv("X")`,
				"engine/a_test.go": `package engine; import "os"; var x = os.Getenv("WSD_LONG")`,
			},
		},
		{
			rule: "libraries import no metrics client",
			bad: map[string]string{
				"engine/a.go": `package engine; import _ "github.com/prometheus/client_golang/prometheus"`,
			},
			good: map[string]string{
				"cmd/wsd/a.go": `package main; import _ "github.com/prometheus/client_golang/prometheus"`,
			},
		},
		{
			rule: "test helpers are for tests",
			bad: map[string]string{
				"engine/a.go":  `package engine; import _ "` + mod + `/internal/testkit"`,
				"cmd/wsd/a.go": `package main; import _ "testing"`,
			},
			good: map[string]string{
				"engine/a_test.go":      `package engine; import _ "` + mod + `/internal/testkit"`,
				"internal/testkit/a.go": `package testkit; import _ "testing"`,
			},
		},
		{
			rule: "nothing waits for time",
			bad: map[string]string{
				"engine/a.go": `package engine; import "time"; func f() { time.Sleep(1) }`,
				"broker/a.go": `package broker; import clock "time"; var wait = clock.Sleep`,
			},
			good: map[string]string{
				"engine/a.go":  `package engine; import "time"; var d = time.Second`,
				"cmd/wsd/a.go": `package main; import "time"; func f() { time.Sleep(1) }`,
			},
		},
		{
			rule: "no file names a machine",
			bad: map[string]string{
				"docs/a.md":           "see /" + "home/someone/notes",
				"test/run.sh":         `cd "/` + `work/x"`,
				"engine/a.go":         "package engine // writes /tm" + "p/out",
				"test/clients/.npmrc": "registry=https://registry." + "npmjs.org/",
			},
			good: map[string]string{
				"docs/a.md":                      "GET /echo, /homework, https://example.org/work/x, /dev/null, `/topics/a`",
				"test/clients/package-lock.json": `{"resolved": "https://registry.` + `npmjs.org/ws/-/ws-8.0.0.tgz"}`,
				"node_modules/x/a.js":            "/" + "home/someone/x",
				"bin/wsd":                        "/" + "home/someone/x",
			},
		},
		{
			rule: "lock files name the public registry only",
			bad: map[string]string{
				"test/clients/package-lock.json": `{"resolved": "http://mirror.example/ws.tgz"}`,
			},
			good: map[string]string{
				"test/clients/package-lock.json": `{"resolved": "https://registry.` + `npmjs.org/ws/-/ws-8.0.0.tgz"}`,
				"docs/a.md":                      `"resolved": "http://mirror.example/ws.tgz"`,
			},
		},
	}
	if len(tests) != len(Rules) {
		t.Errorf("%d rules, %d of them tested here", len(Rules), len(tests))
	}
	for i, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			rule := Rules[i]
			if rule.Name != tt.rule {
				t.Fatalf("rule %d is %q", i, rule.Name)
			}
			bad := rule.Check(load(t, tt.bad))
			for name := range tt.bad {
				if !names(bad, name) {
					t.Errorf("%s was let through", name)
				}
			}
			for _, b := range rule.Check(load(t, tt.good)) {
				t.Errorf("without reason: %s", b)
			}
		})
	}
}

func load(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	fsys := fstest.MapFS{"go.mod": {Data: []byte("module " + Module)}}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	tree, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// names reports whether one of the findings is about the file.
func names(findings []string, file string) bool {
	for _, f := range findings {
		if strings.HasPrefix(f, file+":") {
			return true
		}
	}
	return false
}
