//go:build !linux

package app

import "io"

func isJournal(io.Writer) bool { return false }
