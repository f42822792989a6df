// Package ttf has the fonts of a formula.
package ttf

import (
	"codeberg.org/go-latex/latex/drawtex"
	"golang.org/x/image/font/sfnt"
)

// Fonts are the faces that formulas are set in.
type Fonts struct{ Default, Rm, It, Bf, BfIt *sfnt.Font }

// Backend would set formulas.
type Backend struct{}

// NewFrom returns a Backend.
func NewFrom(*drawtex.Canvas, *Fonts) *Backend { return &Backend{} }
