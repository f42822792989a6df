"""Wire v1 as bytes: PROTOCOL.md has every field."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any, Dict, NamedTuple, Tuple

from . import tls
from .frame import FramepipeError

PREAMBLE = b"FPW\xf1"
HELLO, WELCOME, FRAME, ACK, PING, PONG, CONTROL, STATE, BYE, REPORT = range(1, 11)
MAX_HEADER = 4096
MAX_TEXT = 256 << 10
MAX_FRAME = 32 << 20

_hello = struct.Struct("<H6xQq")
_frame = struct.Struct("<Qqqqq4sHHIB3x")
_pong = struct.Struct("<Qqqq")
_bye = struct.Struct("<H6xQ")
_id = struct.Struct("<I4x")


class Hello(NamedTuple):
    version: int
    session: int
    now: int


class FrameHeader(NamedTuple):
    seq: int
    captured: int
    dequeued: int
    encoded: int
    send_started: int
    format: str
    width: int
    height: int
    stride: int
    stamp_kind: int


class Pong(NamedTuple):
    id: int
    t1: int
    t2: int
    t3: int


def _unpack(s: struct.Struct, header: bytes) -> Tuple[Any, ...]:
    if len(header) < s.size:
        raise FramepipeError("a header of %d bytes, where at least %d are needed" % (len(header), s.size))
    return s.unpack_from(header)


def hello(header: bytes) -> Hello:
    return Hello(*_unpack(_hello, header))


def frame(header: bytes) -> FrameHeader:
    v = _unpack(_frame, header)
    return FrameHeader._make(v[:5] + (v[5].decode("latin-1"),) + v[6:])


def pong(header: bytes) -> Pong:
    return Pong(*_unpack(_pong, header))


def bye(header: bytes) -> int:
    """The reason."""
    return int(_unpack(_bye, header)[0])


def state_id(header: bytes) -> int:
    return int(_unpack(_id, header)[0])


def message(kind: int, header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("<BxHI", kind, len(header), len(payload)) + header + payload


def welcome(session: int, last_seq: int, received: int, max_frame: int, text: Dict[str, Any]) -> bytes:
    return message(WELCOME, struct.pack("<H2xIQQQ", 1, max_frame, session, last_seq, received), json.dumps(text).encode())


def ack(seq: int, first_byte: int, last_byte: int, received: int, rest: int) -> bytes:
    return message(ACK, struct.pack("<QqqQI4x", seq, first_byte, last_byte, received, rest))


def ping(number: int, t1: int) -> bytes:
    return message(PING, struct.pack("<Qq", number, t1))


def pong_to(header: bytes, t2: int) -> bytes:
    number, t1 = struct.unpack_from("<Qq", header)
    return message(PONG, struct.pack("<Qqqq", number, t1, t2, time.monotonic_ns()))


def control(number: int, settings: Dict[str, Any]) -> bytes:
    return message(CONTROL, struct.pack("<I4x", number), json.dumps(settings).encode())


_CAUSES = 7


def goodbye(reason: int, received: int, text: str) -> bytes:
    counts = struct.pack("<H6xQQ%dQ" % _CAUSES, _CAUSES, 0, 0, *([0] * _CAUSES))
    return message(BYE, struct.pack("<H6xQ", reason, received) + counts, text.encode())


class Message(NamedTuple):
    kind: int
    header: bytes
    payload: bytes
    first: int  # when the first read returned a part of it
    last: int  # when the read returned that completed it
    rest: int  # bytes that were read after the first read


class Reader:
    """Takes messages off a socket."""

    def __init__(self, sock: "socket.socket | tls.Socket", max_frame: int = MAX_FRAME) -> None:
        self._sock = sock
        self._max_frame = max_frame
        self._buf = bytearray()
        self._at = 0  # when the newest bytes were read

    def _more(self, need: int) -> int:
        n = 0
        while len(self._buf) < need:
            part = self._sock.recv(max(65536, min(need - len(self._buf), 1 << 20)))
            self._at = time.monotonic_ns()
            if not part:
                raise FramepipeError("the connection ended without a word")
            self._buf += part
            n += len(part)
        return n

    def _take(self, n: int) -> bytes:
        out = bytes(memoryview(self._buf)[:n])
        del self._buf[:n]
        return out

    def preamble(self) -> None:
        self._more(len(PREAMBLE))
        if self._take(len(PREAMBLE)) != PREAMBLE:
            raise FramepipeError("the other side does not speak wire v1")

    def message(self) -> Message:
        if not self._buf:
            self._more(1)
        first = self._at
        had = len(self._buf)
        self._more(8)
        kind, header_size, payload_size = struct.unpack_from("<BxHI", self._buf)
        if header_size > MAX_HEADER or payload_size > (self._max_frame if kind == FRAME else MAX_TEXT):
            raise FramepipeError("a message of %d + %d bytes is more than is allowed" % (header_size, payload_size))
        size = 8 + header_size + payload_size
        self._more(size)
        self._take(8)
        return Message(kind, self._take(header_size), self._take(payload_size), first, self._at, max(0, size - had))


class Clock:
    """Relates a sender's monotonic clock to ours, by the tightest of the last
    exchanges (RFC 5905, section 8: theirs minus ours is within t3-t4 and t2-t1)."""

    KEPT = 16
    DRIFT = 200e-6  # more than any two clocks differ in rate

    def __init__(self) -> None:
        self._all: "list[Tuple[int, int, int]]" = []  # when, lo, hi of theirs minus ours

    def add(self, p: Pong, t4: int) -> None:
        lo, hi = p.t3 - t4, p.t2 - p.t1
        if lo <= hi:
            self._all = (self._all + [(t4, lo, hi)])[-self.KEPT :]

    def ours(self, theirs: int, now: int) -> "Tuple[int | None, int | None]":
        """A time of theirs on our clock, and the bound of its error."""
        if not theirs or not self._all:
            return None, None
        lo, hi = -(1 << 62), 1 << 62
        for at, low, high in self._all:
            slack = int(abs(now - at) * self.DRIFT)
            lo, hi = max(lo, low - slack), min(hi, high + slack)
        if lo > hi:  # a clock that was changed: begin again
            at, lo, hi = self._all[-1]
            self._all = self._all[-1:]
        return theirs - (lo + hi) // 2, (hi - lo) // 2
