// Package repo holds the rules of this repository that a machine can check, as
// ordinary Go tests: which package may import which, that every package says
// what it is for, that files stay readable in one sitting, that the documents'
// links and commands exist.
//
// The rules live here and not in a linter's configuration so that breaking one
// fails with a sentence that says what to do. They read the source text, not the
// build of one platform, so that files behind build tags are held to them too.
package repo
