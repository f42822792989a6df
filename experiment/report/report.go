// Package report makes everything that is shown of an experiment out of the raw
// files in its folder, and nothing else: summaries in the origin's format,
// bench.txt for benchstat, figures, and report.html, one file that needs no
// network. Made twice from the same folder by the same program, the files are
// equal byte for byte: no clock is read, and chance comes from the plan's seed.
package report

import (
	"fmt"
	"path/filepath"

	"framepipe/experiment/result"
)

// Make makes all derived files of a folder and returns what they conclude.
func Make(dir string) (*Analysis, error) {
	d, err := result.Read(dir)
	if err != nil {
		return nil, err
	}
	a, err := Analyse(d)
	if err != nil {
		return nil, err
	}
	if err := summaries(d); err != nil {
		return nil, fmt.Errorf("summaries: %w", err)
	}
	b, err := bench(d, a.Unit)
	if err == nil {
		err = result.WriteFile(filepath.Join(dir, "bench.txt"), b)
	}
	if err != nil {
		return nil, fmt.Errorf("bench.txt: %w", err)
	}
	figures, err := a.figures()
	if err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	if err := writeFigures(filepath.Join(dir, "figures"), figures); err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	page, err := a.html(figures)
	if err == nil {
		err = result.WriteFile(filepath.Join(dir, "report.html"), page)
	}
	if err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	return a, nil
}
