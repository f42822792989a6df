package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// licences that what we build may be under, recognised by a sentence of each.
var licences = []struct {
	name string
	re   *regexp.Regexp
}{
	{"Apache-2.0", regexp.MustCompile(`Apache License\s+Version 2\.0`)},
	{"MIT", regexp.MustCompile(`Permission is hereby granted, free of charge, to any person obtaining a copy`)},
	{"BSD", regexp.MustCompile(`Redistribution and use in source and binary forms, with or without modification, are permitted`)},
	{"ISC", regexp.MustCompile(`Permission to use, copy, modify, and(/or)? distribute this software for any purpose`)},
	{"FreeType", regexp.MustCompile(`FreeType License`)},
	{"CC-BY-4.0", regexp.MustCompile(`creativecommons.org/licenses/by/4.0|Creative Commons Attribution 4.0`)},
	{"public domain", regexp.MustCompile(`(?i)dedicate any and all copyright|CC0 1\.0`)},
}

func licenceOf(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range licences {
		if l.re.MatchString(text) {
			return l.name
		}
	}
	return ""
}

// Every module that a package or a test of ours needs has a licence that allows it.
func TestDependenciesAreLicensed(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-test", "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Dir}}{{end}}{{end}}", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		module, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || seen[module] {
			continue
		}
		seen[module] = true
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		found := ""
		for _, f := range files {
			base := strings.ToUpper(filepath.Base(f))
			if !strings.HasPrefix(base, "LICEN") && !strings.HasPrefix(base, "COPYING") && !strings.HasPrefix(base, "UNLICENSE") {
				continue
			}
			if b, err := os.ReadFile(f); err == nil && found == "" {
				found = licenceOf(string(b))
			}
		}
		if found == "" {
			t.Errorf("%s has no licence that is known to allow its use: look into %s", module, dir)
		}
		t.Logf("%s: %s", module, found)
	}
	if len(seen) < 5 {
		t.Errorf("only %d modules found", len(seen))
	}
	if licenceOf("GNU GENERAL PUBLIC LICENSE Version 3") != "" {
		t.Error("the check lets everything pass")
	}
}
