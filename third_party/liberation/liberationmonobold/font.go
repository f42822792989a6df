// Package liberationmonobold is a face by the name that gonum/plot knows.
package liberationmonobold

import "codeberg.org/go-fonts/liberation"

// TTF is a TrueType font.
var TTF = liberation.Bold
