"""A baseline JPEG encoder just large enough for test pictures.

It writes grey pictures made of flat 8x8 blocks: only DC coefficients, the
luminance DC table of ITU-T T.81 Annex K.3, and an AC table with the single
symbol "end of block". Every decoder reads them, and nothing beyond the standard
library is needed to make them.
"""

import struct

# T.81 table K.3: number of codes of each length 1..16, and the categories.
_DC_BITS = bytes([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
_DC_VALS = bytes(range(12))
_AC_BITS = bytes([1] + [0] * 15)  # one code of one bit: end of block
_AC_VALS = bytes([0])
_QUANT = 8  # so that one step of a DC coefficient is one grey level


def _codes(bits, vals):
    """Huffman codes as {symbol: (code, length)}, built as T.81 Annex C says."""
    table, code, k = {}, 0, 0
    for length, count in enumerate(bits, start=1):
        for _ in range(count):
            table[vals[k]] = (code, length)
            code, k = code + 1, k + 1
        code <<= 1
    return table


_DC = _codes(_DC_BITS, _DC_VALS)


def _segment(marker, payload):
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _scan(levels):
    """Entropy-coded data of flat blocks with the given grey levels."""
    acc, nbits, previous = 1, 0, 0  # the leading 1 keeps zeros in front
    for level in levels:
        diff, previous = (level - 128) - previous, level - 128
        size = abs(diff).bit_length()
        code, length = _DC[size]
        bits = diff if diff >= 0 else diff + (1 << size) - 1
        acc = ((acc << length | code) << size | bits) << 1  # the last bit: end of block
        nbits += length + size + 1
    pad = -nbits % 8
    acc = (acc << pad) | ((1 << pad) - 1)
    data = acc.to_bytes((nbits + pad) // 8 + 1, "big")[1:]
    return data.replace(b"\xff", b"\xff\x00")


def encode(width, height, levels, size=0):
    """A grey picture of width x height pixels from one level (0..255) for each
    8x8 block, row by row. A comment segment fills it up to `size` bytes if that
    is more than the picture needs."""
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    levels = list(levels)
    if len(levels) != blocks:
        raise ValueError("%dx%d needs %d levels, not %d" % (width, height, blocks, len(levels)))
    head = b"\xff\xd8" + _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    tail = (
        _segment(0xDB, b"\0" + bytes([_QUANT] * 64))
        + _segment(0xC0, struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0))
        + _segment(0xC4, b"\x00" + _DC_BITS + _DC_VALS)
        + _segment(0xC4, b"\x10" + _AC_BITS + _AC_VALS)
        + _segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
        + _scan(levels)
        + b"\xff\xd9"
    )
    filler = b""
    missing = size - len(head) - len(tail)
    while missing >= 4:
        n = min(missing - 4, 65533)
        filler += _segment(0xFE, b"framepipe"[: n] + b"." * max(0, n - 9))
        missing -= n + 4
    return head + filler + tail


def dimensions(data):
    """(width, height) from a JPEG's frame header; ValueError if it is none."""
    if data[:2] != b"\xff\xd8":
        raise ValueError("no JPEG: begins with %r" % data[:2])
    i = 2
    while i + 9 <= len(data):
        if data[i] != 0xFF:
            raise ValueError("no marker at offset %d" % i)
        marker = data[i + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            i += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, i + 5)
            return width, height
        i += 2 + struct.unpack_from(">H", data, i + 2)[0]
    raise ValueError("no frame header")
