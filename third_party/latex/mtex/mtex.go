// Package mtex parses formulas; here it refuses them.
package mtex

import (
	"errors"

	"codeberg.org/go-latex/latex/drawtex"
	"codeberg.org/go-latex/latex/font/ttf"
	"codeberg.org/go-latex/latex/tex"
)

// Renderer draws a formula.
type Renderer interface {
	Render(width, height, dpi float64, c *drawtex.Canvas) error
}

// Parse returns an error: see README.md.
func Parse(expr string, size, dpi float64, b *ttf.Backend) (tex.Node, error) {
	return nil, errors.New("this program is built without TeX formulas in plots")
}
