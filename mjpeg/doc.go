// Package mjpeg deals with JPEG pictures as cameras make them: it reads their
// headers without decoding, finds them in a byte stream, mends what webcams get
// wrong, and encodes and decodes.
//
// It does not carry multipart HTTP streams (package capture/mjpegstream does) and
// does not decide what a frame has to become (package transform does).
//
// # Facts
//
// Marker syntax and the standard Huffman tables are from ITU-T T.81 (annex B and
// K.3.3). Webcams leave the tables out, as the AVI1 convention allows (Motion JPEG
// in AVI and UVC payloads), append padding behind the EOI marker, or lose the EOI;
// see Repair. A picture may hold others in its APP segments (Exif thumbnails), so
// its end is found by walking segments and never by searching for FF D9.
//
// Encoding is our own (baseline; 4:2:0, 4:2:2 or grey; typical or optimised Huffman
// tables; quantisation tables as libjpeg scales them), with vector kernels whose plain
// Go twins give the same bytes. So is decoding (baseline and extended sequential,
// any sampling, at full size and 1/2, 1/4, 1/8): its inverse DCTs are libjpeg's
// accurate ones, to the bit. What no camera sends, progressive pictures above all, is
// left to image/jpeg.
//
// # Memory
//
// Header and Check look at the caller's bytes and allocate nothing. A Splitter
// reads into frames of a frame.Pool; the frames it returns belong to the caller.
// Encoders and decoders write into a buffer of the caller and keep scratch memory,
// so each may be used by one goroutine at a time.
package mjpeg
