// Package timecode writes a frame number and a time into a picture as black and
// white blocks, and reads them back from whatever became of that picture on its
// way: compressed at quality 50, at half its size, moderately blurred, on a
// screenshot of a browser. It is how later stages are checked for which frame they
// show.
//
// # The code
//
// The lowest third of the picture is a grid of 20 columns and 5 rows of equal
// blocks (of a fifteenth of the height each: 16x16 pixels at 320x240). The first
// and the last column are for synchronisation: white, black, white, black, white
// from top to bottom in the first, the opposite in the last. The 18 columns between
// hold 90 bits, row by row, the most significant bit first, white is 1:
//
//	32 bits  frame number, modulo 2^32
//	40 bits  time in units of 100 microseconds of the sender's CLOCK_MONOTONIC,
//	         modulo 2^40 (it wraps after 3.5 years of uptime); 0 = unknown
//	16 bits  CRC-16/CCITT-FALSE of the nine bytes above
//	 2 bits  0, 1
//
// White is luma 235 and black 16, so that limited-range processing on the way does
// no harm. The reader compares each block's centre with the mean of the
// synchronisation blocks and accepts only what the checksum confirms.
package timecode

import "framepipe/frame"

// The grid. The code covers rows FirstRow to FirstRow+Rows-1 of GridRows.
const (
	Columns  = 20
	GridRows = 15
	Rows     = 5
	FirstRow = GridRows - Rows
	MinWidth = 80 // below this size the blocks are too small to read
	MinHigh  = 60

	White = 235 // luma
	Black = 16

	bits = (Columns - 2) * Rows
)

// Unit is the resolution of the time in the code.
const Unit = 100_000 // nanoseconds

// Truncate is the time that the code carries for t.
func Truncate(t frame.SenderTime) frame.SenderTime {
	return frame.SenderTime(uint64(t) / Unit & (1<<40 - 1) * Unit)
}

// Code is the state of the blocks, row by row; true is white.
type Code [Rows * Columns]bool

// Encode makes the code of a frame number and a time.
func Encode(number uint64, t frame.SenderTime) Code {
	var b [12]byte
	n, u := uint32(number), uint64(t)/Unit
	b[0], b[1], b[2], b[3] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	b[4], b[5], b[6], b[7], b[8] = byte(u>>32), byte(u>>24), byte(u>>16), byte(u>>8), byte(u)
	crc := crc16(b[:9])
	b[9], b[10], b[11] = byte(crc>>8), byte(crc), 0x40 // 01
	var c Code
	for r := range Rows {
		c[r*Columns], c[r*Columns+Columns-1] = r&1 == 0, r&1 != 0
	}
	for i := range bits {
		c[i/(Columns-2)*Columns+1+i%(Columns-2)] = b[i/8]>>(7-i%8)&1 != 0
	}
	return c
}

// Block is the rectangle of one block in a picture of this size.
func Block(index, width, height int) (x0, y0, x1, y1 int) {
	c, r := index%Columns, index/Columns+FirstRow
	return c * width / Columns, r * height / GridRows, (c + 1) * width / Columns, (r + 1) * height / GridRows
}

// Fits reports whether a picture is large enough to carry the code.
func Fits(width, height int) bool { return width >= MinWidth && height >= MinHigh }

// ReadCode reads the code from the luma plane of a picture that shows the whole
// frame, at any scale. The number is modulo 2^32 and the time as Truncate gives it.
func ReadCode(luma []byte, width, height, stride int) (number uint32, t frame.SenderTime, ok bool) {
	if width < Columns*2 || height < GridRows*2 || stride < width || len(luma) < width || (len(luma)-width)/stride < height-1 {
		return 0, 0, false
	}
	var level [Rows * Columns]int
	for i := range level {
		level[i] = centre(luma, i, width, height, stride)
	}
	white, black := 0, 0
	for r := range Rows {
		a, b := level[r*Columns], level[r*Columns+Columns-1]
		if r&1 != 0 {
			a, b = b, a
		}
		white, black = white+a, black+b
	}
	const least = 24 // contrast
	if white-black < least*Rows {
		return 0, 0, false
	}
	limit := (white + black) / 2 // Rows times the level
	var b [12]byte
	for i := range bits {
		if level[i/(Columns-2)*Columns+1+i%(Columns-2)]*Rows > limit {
			b[i/8] |= 1 << (7 - i%8)
		}
	}
	if crc16(b[:9]) != uint16(b[9])<<8|uint16(b[10]) || b[11] != 0x40 {
		return 0, 0, false
	}
	number = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	u := uint64(b[4])<<32 | uint64(b[5])<<24 | uint64(b[6])<<16 | uint64(b[7])<<8 | uint64(b[8])
	return number, frame.SenderTime(u * Unit), true
}

// centre is the mean of the middle quarter of a block.
func centre(luma []byte, i, width, height, stride int) int {
	x0, y0, x1, y1 := Block(i, width, height)
	dx, dy := (x1-x0)/4, (y1-y0)/4
	x0, x1, y0, y1 = x0+dx, x1-dx, y0+dy, y1-dy
	sum := 0
	for y := y0; y < y1; y++ {
		for _, v := range luma[y*stride+x0 : y*stride+x1] {
			sum += int(v)
		}
	}
	return sum / ((x1 - x0) * (y1 - y0))
}

// crc16 is CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xffff.
func crc16(b []byte) uint16 {
	c := uint16(0xffff)
	for _, v := range b {
		c ^= uint16(v) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
	}
	return c
}
