package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"regexp"
	"slices"
	"strings"
)

// Rule is one thing that holds everywhere in the tree.
type Rule struct {
	Name  string
	Check func(*Tree) []string // what breaks it, as "path: why"
}

// Rules are all of them.
var Rules = []Rule{
	{"imports point down", importsPointDown},
	{"codec is pure bytes", codecIsPure},
	{"unsafe stays in its rooms", unsafeInItsRooms},
	{"netpoll stays behind internal/poll", netpollInItsRoom},
	{"flags, environment and configuration files are the programs'", processIsThePrograms},
	{"libraries import no metrics client", noMetricsClient},
	{"test helpers are for tests", testHelpersAreForTests},
	{"nothing waits for time", nothingSleeps},
	{"no file names a machine", noMachine},
	{"lock files name the public registry only", lockFiles},
}

// rooms says which packages of the module each room's own code may import. A
// room covers the packages below it, unless they are a room themselves. A
// package in no room is a mistake: give it one.
var rooms = map[string][]string{
	"cmd/wsd":           {"bench", "engine", "engine/engineio", "engine/socketio", "broker", "broker/redis", "codec", "internal/auth", "internal/pubsub", "docs/client", "internal/limit", "internal/topk", "internal/conv"},
	"bench":             {"engine", "engine/engineio", "engine/socketio", "broker", "broker/redis", "codec", "internal/conv", "internal/poll"},
	"engine/socketio":   {"engine/engineio", "engine", "broker", "codec", "internal/conv", "internal/topk"},
	"engine/engineio":   {"engine", "broker", "codec", "internal/conv"},
	"engine":            {"broker", "codec", "internal/conv", "internal/poll", "internal/topk"},
	"broker/redis":      {"broker", "codec", "internal/conv"},
	"broker/brokertest": {"broker", "codec", "internal/conv", "internal/testkit"},
	"broker":            {"codec", "internal/conv"},
	"codec":             {"codec", "internal/conv"},
	"docs/client":       {},
	"docs/examples":     {"engine", "engine/socketio"},
	"internal/auth":     {},
	"internal/limit":    {},
	"internal/pubsub":   {"engine", "broker", "codec", "internal/conv", "internal/topk"},
	"internal/poll":     {"internal/conv"},
	"internal/conv":     {},
	"internal/topk":     {},
	"internal/testkit":  {},
	"internal/testsum":  {},
	"internal/arch":     {},
}

// room returns the most specific room that holds dir, or "".
func room(dir string) string {
	best := ""
	for name := range rooms {
		if within(dir, name) && len(name) > len(best) {
			best = name
		}
	}
	return best
}

func importsPointDown(t *Tree) (bad []string) {
	for _, f := range t.Go {
		from := room(f.Dir)
		if from == "" {
			bad = append(bad, f.Path+": its package is in no room of the house")
			continue
		}
		if f.Test {
			continue // what tests share is the next rules' business
		}
		for _, imp := range f.Imports() {
			dir, ours := strings.CutPrefix(imp, Module+"/")
			if !ours {
				continue
			}
			if to := room(dir); to != from && !slices.Contains(rooms[from], to) {
				bad = append(bad, fmt.Sprintf("%s: %s may not import %s", f.Path, from, dir))
			}
		}
	}
	return bad
}

// impure are the packages, with all below them, that do I/O, tell the time or
// start something.
var impure = []string{"os", "net", "syscall", "log", "time", "context", "io/fs", "io/ioutil", "golang.org/x/sys", "testing"}

// pureOfImpure are the exceptions: values and their text form only.
var pureOfImpure = []string{"net/netip", "net/url"}

func codecIsPure(t *Tree) (bad []string) {
	for _, f := range t.Go {
		if f.Test || !f.In("codec") {
			continue
		}
		for _, imp := range f.Imports() {
			if slices.Contains(pureOfImpure, imp) {
				continue
			}
			if slices.ContainsFunc(impure, func(p string) bool { return within(imp, p) }) {
				bad = append(bad, f.Path+": imports "+imp)
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.GoStmt:
				bad = append(bad, f.Path+": starts a goroutine")
			case *ast.ChanType:
				bad = append(bad, f.Path+": has a channel")
			}
			return true
		})
	}
	return bad
}

func unsafeInItsRooms(t *Tree) (bad []string) {
	for _, f := range t.Go {
		if f.In("internal/conv", "internal/poll") {
			continue
		}
		if slices.Contains(f.Imports(), "unsafe") {
			bad = append(bad, f.Path+": imports unsafe")
		}
		for _, group := range f.AST.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:linkname ") {
					bad = append(bad, f.Path+": "+c.Text)
				}
			}
		}
	}
	return bad
}

func netpollInItsRoom(t *Tree) []string {
	return importsOnlyIn(t, []string{"internal/poll"}, "github.com/cloudwego/netpoll")
}

// programs are the folders of main packages that people start by hand: the
// daemon, and the runner of the comparison with other servers.
var programs = []string{"cmd/wsd", "bench/compare", "bench/sioserver", "docs/examples"}

func processIsThePrograms(t *Tree) []string {
	bad := importsOnlyIn(t, programs,
		"flag", "github.com/alecthomas/kong", "github.com/alecthomas/kong-yaml", "github.com/spf13",
		"gopkg.in/yaml.v2", "gopkg.in/yaml.v3", "github.com/goccy/go-yaml", "sigs.k8s.io/yaml")
	for _, f := range t.Go {
		if f.Test || f.In(programs...) {
			continue
		}
		for name := range f.uses("os") {
			switch name {
			case "Getenv", "LookupEnv", "Environ", "ExpandEnv":
				bad = append(bad, f.Path+": reads the environment by os."+name)
			}
		}
	}
	return bad
}

func noMetricsClient(t *Tree) []string {
	return importsOnlyIn(t, []string{"cmd/wsd"},
		"github.com/prometheus", "go.opentelemetry.io", "github.com/VictoriaMetrics", "github.com/DataDog", "expvar")
}

func testHelpersAreForTests(t *Tree) []string {
	return importsOnlyIn(t, []string{"internal/testkit", "broker/brokertest"},
		Module+"/internal/testkit", Module+"/broker/brokertest", "testing", "go.uber.org/goleak")
}

// importsOnlyIn returns the files outside dirs, tests apart, that import one
// of pkgs or a package below it.
func importsOnlyIn(t *Tree, dirs []string, pkgs ...string) (bad []string) {
	for _, f := range t.Go {
		if f.Test || f.In(dirs...) {
			continue
		}
		for _, imp := range f.Imports() {
			if slices.ContainsFunc(pkgs, func(p string) bool { return within(imp, p) }) {
				bad = append(bad, f.Path+": imports "+imp)
			}
		}
	}
	return bad
}

func nothingSleeps(t *Tree) (bad []string) {
	for _, f := range t.Go {
		if f.Test || !f.In("codec", "engine", "broker", "internal/poll", "internal/conv") {
			continue
		}
		if pos, ok := f.uses("time")["Sleep"]; ok {
			bad = append(bad, fmt.Sprintf("%s: time.Sleep", t.fset.Position(pos)))
		}
	}
	return bad
}

// machine matches absolute paths of a developer's or a builder's machine, and
// the hosts from which packages come: both belong to the environment. The
// pieces are joined here so that this file does not match itself.
var machine = regexp.MustCompile(strings.Join([]string{
	`(?:^|[\s"'=(:` + "`" + `])/(?:work|root|home|Users|farm|builds)` + `/[\w.-]`,
	`/tmp` + `/[\w-]`,
	`[Cc]:\\` + `Users`,
	`registry\.` + `npmjs\.org`,
	`proxy\.` + `golang\.org`,
	`deb\.` + `debian\.org`,
	`npm\.pkg\.` + `github\.com`,
	`(?:GOPROXY|npm_config_registry)` + `\s*[:=]`,
}, "|"))

func noMachine(t *Tree) (bad []string) {
	for _, f := range t.Text {
		if strings.HasSuffix(f.Path, "package-lock.json") {
			continue // see lockFiles
		}
		for i, line := range bytes.Split(f.Data, []byte("\n")) {
			if m := machine.Find(line); m != nil {
				bad = append(bad, fmt.Sprintf("%s:%d: %q", f.Path, i+1, bytes.TrimSpace(m)))
			}
		}
	}
	return bad
}

var resolved = regexp.MustCompile(`"resolved":\s*"([^"]*)"`)

func lockFiles(t *Tree) (bad []string) {
	const public = "https://registry." + "npmjs.org/"
	for _, f := range t.Text {
		if !strings.HasSuffix(f.Path, "package-lock.json") {
			continue
		}
		for _, m := range resolved.FindAllSubmatch(f.Data, -1) {
			if !strings.HasPrefix(string(m[1]), public) {
				bad = append(bad, fmt.Sprintf("%s: resolved to %s", f.Path, m[1]))
			}
		}
	}
	return bad
}
