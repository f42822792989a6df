package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"framepipe/measure"
)

// summaries writes a summary file for each camera: the first has the name that
// was asked for, each further one its camera's name in it.
type summaries struct {
	name string

	mu    sync.Mutex
	files map[string]*summaryFile // guarded by mu; by camera
	first *summaryFile            // guarded by mu; made at once, not yet anybody's
}

type summaryFile struct {
	f *os.File
	s *measure.Summary
}

func newSummaries(name string) (*summaries, error) {
	f, err := newSummaryFile(name)
	if err != nil {
		return nil, err
	}
	return &summaries{name: name, files: make(map[string]*summaryFile), first: f}, nil
}

func newSummaryFile(name string) (*summaryFile, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	s, err := measure.NewSummary(f)
	if err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	return &summaryFile{f, s}, nil
}

func (s *summaries) add(r *measure.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[r.Camera]
	if f == nil {
		if s.first != nil {
			f, s.first = s.first, nil
		} else {
			ext := filepath.Ext(s.name)
			var err error
			if f, err = newSummaryFile(strings.TrimSuffix(s.name, ext) + "-" + r.Camera + ext); err != nil {
				return err
			}
		}
		s.files[r.Camera] = f
	}
	return f.s.Add(r)
}

func (s *summaries) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first != nil {
		s.first.f.Close()
	}
	for _, f := range s.files {
		f.f.Close()
	}
}
