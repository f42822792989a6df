// Package tex has the boxes of a formula.
package tex

// Node is a box.
type Node interface {
	Width() float64
	Height() float64
	Depth() float64
}

// Tree is a box of boxes.
type Tree interface{ Node }

// Ship would place boxes.
type Ship struct{}

// Call does nothing: there are no boxes.
func (*Ship) Call(x, y float64, t Tree) {}
