package main

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
	"github.com/fe4bcecb/wsd/cmd/wsd/workers"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// What the API's own test can't see is described as it is.
func TestDescriptionMatchesOtherAnswers(t *testing.T) {
	d := testkit.ParseOpenAPI(t, api.Description)
	d.Names(t, "Overview", overview{})
	d.Names(t, "Workers", workers.List{})
}

// No path of the admin listener is served below /v1/ beside those that are described.
func TestHandlersAreDescribed(t *testing.T) {
	described := testkit.ParseOpenAPI(t, api.Description).Operations()
	found := 0
	for _, dir := range []string{".", "workers"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(gotoken.NewFileSet(), name, text, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if pattern := handled(n); strings.Contains(pattern, "/v1/") {
					found++
					if !described[pattern] {
						t.Errorf("%s serves %q, which openapi.yaml does not describe", name, pattern)
					}
				}
				return true
			})
		}
	}
	if found == 0 {
		t.Error("no handlers are found")
	}
}

// handled is the pattern of a call of Handle or HandleFunc, if it is written there.
func handled(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 2 {
		return ""
	}
	if fn, ok := call.Fun.(*ast.SelectorExpr); !ok || fn.Sel.Name != "Handle" && fn.Sel.Name != "HandleFunc" {
		return ""
	}
	pattern, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return ""
	}
	text, err := strconv.Unquote(pattern.Value)
	if err != nil {
		return ""
	}
	return text
}
