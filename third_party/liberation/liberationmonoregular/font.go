// Package liberationmonoregular is a face by the name that gonum/plot knows.
package liberationmonoregular

import "codeberg.org/go-fonts/liberation"

// TTF is a TrueType font.
var TTF = liberation.Regular
