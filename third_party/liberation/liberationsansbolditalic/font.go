// Package liberationsansbolditalic is a face by the name that gonum/plot knows.
package liberationsansbolditalic

import "codeberg.org/go-fonts/liberation"

// TTF is a TrueType font.
var TTF = liberation.Bold
