// Package arch checks the shape of the source tree: who may import whom, where
// unsafe, processes and clocks may appear, and what no file may contain. Its
// test runs every rule over the repository; see docs/architecture.md for the
// picture the rules hold.
package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Module is the path of the root module.
const Module = "github.com/fe4bcecb/wsd"

// maxText is the size, in bytes, above which a file is not searched for text.
const maxText = 4 << 20

// Tree is what the rules look at.
type Tree struct {
	Go   []*File // Go files of the root module, of every system and build tag
	Text []*Text // every text file, those of nested modules included
	fset *token.FileSet
}

// File is a Go file of the root module.
type File struct {
	Path string // slash-separated, from the root
	Dir  string // its package's path from the root; "." is the root
	Test bool
	AST  *ast.File
}

// Text is a file with its contents.
type Text struct {
	Path string
	Data []byte
}

// Load reads the tree below root. Folders that belong to no source (.git, bin,
// node_modules) are left out; testdata counts as text only.
func Load(root fs.FS) (*Tree, error) {
	t := &Tree{fset: token.NewFileSet()}
	nested := map[string]bool{} // folders of other modules, and below
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(name) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(root, path.Join(name, "go.mod")); name != "." && err == nil {
				nested[name] = true
			}
			nested[name] = nested[name] || name != "." && nested[path.Dir(name)]
			return nil
		}
		// In a linked worktree .git is a file.
		if !d.Type().IsRegular() || name == ".git" {
			return nil
		}
		return t.load(root, name, nested[path.Dir(name)])
	})
	return t, err
}

func skipped(dir string) bool {
	switch path.Base(dir) {
	case ".git", "node_modules":
		return true
	}
	return dir == "bin"
}

func (t *Tree) load(root fs.FS, name string, nested bool) error {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	if len(data) <= maxText && !bytes.Contains(data, []byte{0}) {
		t.Text = append(t.Text, &Text{Path: name, Data: data})
	}
	if nested || !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") {
		return nil
	}
	parsed, err := parser.ParseFile(t.fset, name, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.Go = append(t.Go, &File{
		Path: name,
		Dir:  path.Dir(name),
		Test: strings.HasSuffix(name, "_test.go"),
		AST:  parsed,
	})
	return nil
}

// Imports returns the file's import paths.
func (f *File) Imports() []string {
	var out []string
	for _, spec := range f.AST.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// In reports whether the file is in the folder dir or below it.
func (f *File) In(dirs ...string) bool {
	for _, dir := range dirs {
		if within(f.Dir, dir) {
			return true
		}
	}
	return false
}

// within reports whether the slash-separated path p is dir or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// uses returns the names that the file takes from package pkg, such as
// "Sleep" for time.Sleep, with their positions. An alias is followed.
func (f *File) uses(pkg string) map[string]token.Pos {
	local := ""
	for _, spec := range f.AST.Imports {
		if spec.Path.Value != strconv.Quote(pkg) {
			continue
		}
		local = path.Base(pkg)
		if spec.Name != nil {
			local = spec.Name.Name
		}
	}
	names := map[string]token.Pos{}
	if local == "" {
		return names
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
				names[sel.Sel.Name] = sel.Pos()
			}
		}
		return true
	})
	return names
}
