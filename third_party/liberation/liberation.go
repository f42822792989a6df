// Package liberation stands for codeberg.org/go-fonts/liberation in this program: the
// same packages with the two faces that the plots use, sans regular and bold, for all
// twelve. gonum/plot reads every face when it starts; the originals are 4.4 MB.
//
// The faces are Liberation Sans 2.1 without hints, of the characters that Latin, Greek
// and Cyrillic texts and formulas of units need (see README.md), and under another
// name, as its licence asks for.
package liberation

import _ "embed"

// Regular and Bold are TrueType fonts.
var (
	//go:embed plot-regular.ttf
	Regular []byte
	//go:embed plot-bold.ttf
	Bold []byte
)
