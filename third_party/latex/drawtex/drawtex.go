// Package drawtex has the drawing operations of a formula; there are none here.
package drawtex

import "golang.org/x/image/font/sfnt"

// Canvas collects drawing operations.
type Canvas struct{}

// New returns an empty canvas.
func New() *Canvas { return &Canvas{} }

// Ops returns nothing: nothing can be drawn.
func (*Canvas) Ops() []Op { return nil }

// Op is a drawing operation.
type Op interface{ isOp() }

// Glyph is a character of a font.
type Glyph struct {
	Size   float64
	Font   *sfnt.Font
	Symbol string
}

// GlyphOp draws a character.
type GlyphOp struct {
	X, Y  float64
	Glyph Glyph
}

// RectOp draws a rectangle.
type RectOp struct{ X1, Y1, X2, Y2 float64 }

func (GlyphOp) isOp() {}
func (RectOp) isOp()  {}
