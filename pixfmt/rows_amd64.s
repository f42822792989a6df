//go:build !purego

#include "textflag.h"

DATA ·low8<>+0(SB)/8, $0x00ff00ff00ff00ff
GLOBL ·low8<>(SB), RODATA|NOPTR, $8

// func evenOddAVX2(even, odd, src *byte, n int): n/32 times 64 bytes, one of two to each
TEXT ·evenOddAVX2(SB), NOSPLIT, $0-32
	MOVQ even+0(FP), DI
	MOVQ odd+8(FP), DX
	MOVQ src+16(FP), SI
	MOVQ n+24(FP), CX
	VPBROADCASTQ ·low8<>(SB), Y15

	PCALIGN $32
evenodd:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPAND Y15, Y0, Y2
	VPAND Y15, Y1, Y3
	VPSRLW $8, Y0, Y0
	VPSRLW $8, Y1, Y1
	VPACKUSWB Y3, Y2, Y2
	VPACKUSWB Y1, Y0, Y0
	VPERMQ $0xd8, Y2, Y2
	VPERMQ $0xd8, Y0, Y0
	VMOVDQU Y2, (DI)
	VMOVDQU Y0, (DX)
	ADDQ $64, SI
	ADDQ $32, DI
	ADDQ $32, DX
	SUBQ $32, CX
	JNZ evenodd
	VZEROUPPER
	RET

// func bytesAVX2(dst, src *byte, n int, shift int): n/32 times 32 of 64 bytes: those
// at even places for shift 0, at odd ones for 8
TEXT ·bytesAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ shift+24(FP), AX
	MOVQ AX, X14
	VPBROADCASTQ ·low8<>(SB), Y15

	PCALIGN $32
bytes:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPSRLW X14, Y0, Y0
	VPSRLW X14, Y1, Y1
	VPAND Y15, Y0, Y0
	VPAND Y15, Y1, Y1
	VPACKUSWB Y1, Y0, Y0
	VPERMQ $0xd8, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $32, CX
	JNZ bytes
	VZEROUPPER
	RET

// func chromaAVX2(u, v, a, b *byte, n int, shift int): n/16 times 64 bytes of two rows,
// averaged; chroma is at odd places for shift 8, at even ones for 0
TEXT ·chromaAVX2(SB), NOSPLIT, $0-48
	MOVQ u+0(FP), DI
	MOVQ v+8(FP), DX
	MOVQ a+16(FP), SI
	MOVQ b+24(FP), BX
	MOVQ n+32(FP), CX
	MOVQ shift+40(FP), AX
	MOVQ AX, X14
	VPBROADCASTQ ·low8<>(SB), Y15

	PCALIGN $32
chroma:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPAVGB (BX), Y0, Y0
	VPAVGB 32(BX), Y1, Y1
	VPSRLW X14, Y0, Y0
	VPSRLW X14, Y1, Y1
	VPAND Y15, Y0, Y0
	VPAND Y15, Y1, Y1
	VPACKUSWB Y1, Y0, Y0
	VPERMQ $0xd8, Y0, Y0
	VPAND Y15, Y0, Y1
	VPSRLW $8, Y0, Y0
	VPACKUSWB Y0, Y1, Y0
	VPERMQ $0xd8, Y0, Y0
	VMOVDQU X0, (DI)
	VEXTRACTI128 $1, Y0, (DX)
	ADDQ $64, SI
	ADDQ $64, BX
	ADDQ $16, DI
	ADDQ $16, DX
	SUBQ $16, CX
	JNZ chroma
	VZEROUPPER
	RET
