package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "framepipe"

var root = filepath.Join("..", "..")

// files lists what belongs to the repository, relative to its root with forward
// slashes: what git tracks or would track. In a copy without git it is
// everything but what .gitignore names.
func files(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil {
		var list []string
		for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
			if _, err := os.Stat(filepath.Join(root, name)); err == nil { // not just deleted
				list = append(list, name)
			}
		}
		return list
	}
	var list []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		switch name {
		case ".git", ".cache", "dist", "build", "framepipe":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && !strings.Contains(name, "__pycache__") {
			list = append(list, filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goPackage is a directory of Go files, whatever platform they are for.
type goPackage struct {
	dir     string
	doc     string              // the longest package comment
	imports map[string][]string // import path to the files that import it, tests left out
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	byDir := map[string]*goPackage{}
	var order []string
	for _, name := range files(t) {
		if !strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata/") || strings.HasPrefix(name, "third_party/") { // modules of their own
			continue
		}
		dir := filepath.ToSlash(filepath.Dir(name))
		p := byDir[dir]
		if p == nil {
			p = &goPackage{dir: dir, imports: map[string][]string{}}
			byDir[dir], order = p, append(order, dir)
		}
		f := parse(t, name)
		if doc := f.Doc.Text(); len(doc) > len(p.doc) {
			p.doc = doc
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, i := range f.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			p.imports[path] = append(p.imports[path], name)
		}
	}
	list := make([]goPackage, 0, len(order))
	for _, dir := range order {
		list = append(list, *byDir[dir])
	}
	return list
}

func parse(t *testing.T, name string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
