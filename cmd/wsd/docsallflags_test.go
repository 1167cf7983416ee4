package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// foreignFlags are of other programs, or of all commands, and --workers, which is to come.
var foreignFlags = []string{"help", "ulimit", "workers"}

// flagNames are those of all commands; operator leaves out what is hidden, and
// commands that measure.
func flagNames(t *testing.T, operator bool) map[string]string {
	t.Helper()
	parser, err := newParser(&cli{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{}
	_ = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if n, ok := node.(*kong.Node); ok {
			if operator && (n.Name == "bench" || n.Hidden) {
				return nil
			}
			for _, f := range n.Flags {
				if operator && f.Hidden {
					continue
				}
				names[f.Name] = n.Path()
				if f.Tag.Negatable != "" {
					names["no-"+f.Name] = n.Path()
				}
			}
		}
		return next(nil)
	})
	return names
}

// Every flag is documented, and no other.
func TestFlagsAreDocumented(t *testing.T) {
	text := operationsText(t)
	named := map[string]bool{}
	for _, code := range regexp.MustCompile("`[^`\n]+`").FindAllString(text, -1) {
		for _, m := range regexp.MustCompile(`(?:^|[^\w-])--([a-z][a-z0-9-]*)`).FindAllStringSubmatch(code, -1) {
			named[m[1]] = true
		}
	}
	all := flagNames(t, false)
	for name := range named {
		if all[name] == "" && !slices.Contains(foreignFlags, name) {
			t.Errorf("%s names --%s, which no command has", operations, name)
		}
	}
	for name, command := range flagNames(t, true) {
		if positive, negated := strings.CutPrefix(name, "no-"); negated && named[positive] || named[name] || named["no-"+name] {
			continue
		}
		t.Errorf("%s does not name `--%s` (wsd %s)", operations, name, command)
	}
}
