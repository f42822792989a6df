package doctor

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// system is the machine as the checks see it: files below a root, commands, and
// who is asking.
type system struct {
	root string
	run  func(ctx context.Context, name string, args ...string) (string, error)
	id   identity

	// Tests replace what a tree of files cannot hold. nil means really.
	owner   func(path string) (owner, error)
	sockets func() error
	set     func() (bool, error) // whether something keeps the time of day right
}

// identity is who runs the program.
type identity struct {
	uid    int
	groups []int
	pid    int
}

// owner is what decides who may open a file.
type owner struct {
	uid, gid int
	mode     os.FileMode
}

func (s *system) path(name string) string { return filepath.Join(s.root, name) }

// text is a file's content without the newline, blanks and NUL at its end.
func (s *system) text(name string) (string, bool) {
	b, err := os.ReadFile(s.path(name))
	return strings.TrimRight(string(b), " \n\x00"), err == nil
}

func (s *system) exists(name string) bool {
	_, err := os.Stat(s.path(name))
	return err == nil
}

// glob returns names below the root, numbers in them in numeric order.
func (s *system) glob(pattern string) []string {
	paths, _ := filepath.Glob(s.path(pattern)) // only fails for a bad pattern
	var names []string
	for _, p := range paths {
		names = append(names, strings.TrimPrefix(p, strings.TrimSuffix(s.root, "/")))
	}
	sort.Slice(names, func(i, j int) bool {
		if a, b := number(names[i]), number(names[j]); a != b {
			return a < b
		}
		return names[i] < names[j]
	})
	return names
}

// number is the last run of digits in a name, or 0.
func number(name string) int {
	end := strings.LastIndexAny(name, "0123456789") + 1
	start := end
	for start > 0 && name[start-1] >= '0' && name[start-1] <= '9' {
		start--
	}
	n, _ := strconv.Atoi(name[start:end])
	return n
}

// linkBase is the last element of what a symbolic link points to.
func (s *system) linkBase(name string) string {
	target, err := os.Readlink(s.path(name))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// groupName is the name that /etc/group gives to a number, or the number.
func (s *system) groupName(gid int) string {
	text, _ := s.text("/etc/group")
	for _, line := range strings.Split(text, "\n") {
		f := strings.Split(line, ":")
		if len(f) >= 3 && f[2] == strconv.Itoa(gid) {
			return f[0]
		}
	}
	return strconv.Itoa(gid)
}

// mayOpen reports whether the user may read and write a file of this owner, by
// the rules of path_resolution(7): the first class that matches decides.
func (id identity) mayOpen(o owner) bool {
	perm := o.mode.Perm()
	switch {
	case id.uid == 0:
		return true
	case id.uid == o.uid:
		return perm&0o600 == 0o600
	case id.in(o.gid):
		return perm&0o060 == 0o060
	}
	return perm&0o006 == 0o006
}

func (id identity) in(gid int) bool {
	for _, g := range id.groups {
		if g == gid {
			return true
		}
	}
	return false
}

func currentIdentity() identity {
	groups, _ := os.Getgroups()
	return identity{uid: os.Getuid(), groups: append(groups, os.Getgid()), pid: os.Getpid()}
}
