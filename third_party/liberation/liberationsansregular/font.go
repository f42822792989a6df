// Package liberationsansregular is a face by the name that gonum/plot knows.
package liberationsansregular

import "codeberg.org/go-fonts/liberation"

// TTF is a TrueType font.
var TTF = liberation.Regular
