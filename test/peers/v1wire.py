"""Wire v1 as bytes, written from PROTOCOL.md and nothing else.

build() makes a message, parse() reads a header, Reader takes messages from a
socket. Field names are those of wire/testdata/v1.json.
"""

import struct
import time

PREAMBLE = bytes([0x46, 0x50, 0x57, 0xF1])
VERSION = 1
MAX_HEADER = 4096
MAX_TEXT = 256 << 10
DEFAULT_MAX_FRAME = 32 << 20

TYPES = {
    "HELLO": 1,
    "WELCOME": 2,
    "FRAME": 3,
    "ACK": 4,
    "PING": 5,
    "PONG": 6,
    "CONTROL": 7,
    "STATE": 8,
    "BYE": 9,
    "REPORT": 10,
}
NAMES = {number: name for name, number in TYPES.items()}
CAUSES = ("driver gap", "driver error", "corrupt", "encoder busy", "stale", "deadline", "offline")
CORRUPT = CAUSES.index("corrupt")
REASONS = {"ended": 0, "enough": 1, "refused": 2, "protocol": 3, "replaced": 4}


class ProtocolError(Exception):
    """The other side broke the protocol. code is "short" or "too_large", the two
    kinds that the vectors know."""

    def __init__(self, code, text):
        super().__init__("%s: %s" % (code, text))
        self.code = code


# The fixed fields of each header: (name, format for struct). "x" is padding. The
# ledger, where there is one, comes last.
_LAYOUT = {
    "HELLO": [("version", "H"), (None, "6x"), ("session", "Q"), ("now", "q")],
    "WELCOME": [("version", "H"), (None, "2x"), ("max_frame", "I"), ("session", "Q"), ("last_seq", "Q"), ("received", "Q")],
    "FRAME": [
        ("seq", "Q"),
        ("captured", "q"),
        ("dequeued", "q"),
        ("encoded", "q"),
        ("send_started", "q"),
        ("format", "4s"),
        ("width", "H"),
        ("height", "H"),
        ("stride", "I"),
        ("stamp_kind", "B"),
        (None, "3x"),
    ],
    "ACK": [("seq", "Q"), ("first_byte", "q"), ("last_byte", "q"), ("received", "Q"), ("rest", "I"), (None, "4x")],
    "PING": [("id", "Q"), ("t1", "q")],
    "PONG": [("id", "Q"), ("t1", "q"), ("t2", "q"), ("t3", "q")],
    "CONTROL": [("id", "I"), (None, "4x")],
    "STATE": [("id", "I"), (None, "4x")],
    "BYE": [("reason", "H"), (None, "6x"), ("received", "Q")],
    "REPORT": [("now", "q")],
}
_WITH_COUNTS = {"HELLO", "FRAME", "BYE", "REPORT"}


def _fixed(name):
    layout = _LAYOUT[name]
    return struct.Struct("<" + "".join(f for _, f in layout)), [n for n, _ in layout if n]


def counts(offered=0, sent=0, lost=()):
    """A ledger as build() takes it; it has to balance."""
    lost = list(lost) or [0] * len(CAUSES)
    if offered != sent + sum(lost):
        raise ValueError("%d offered, %d sent and %s lost do not balance" % (offered, sent, lost))
    return {"offered": offered, "sent": sent, "lost": lost}


def build(name, fields, payload=b"", extra=b""):
    """A whole message. extra are header bytes of a later version."""
    fixed, names = _fixed(name)
    values = [fields.get(n, 0) for n in names]
    if name == "FRAME":
        at = names.index("format")
        values[at] = fields["format"].encode("ascii")
    header = fixed.pack(*values)
    if name in _WITH_COUNTS:
        lost = fields.get("lost", [0] * len(CAUSES))
        header += struct.pack("<H6xQQ", len(lost), fields.get("offered", 0), fields.get("sent", 0))
        header += struct.pack("<%dQ" % len(lost), *lost)
    header += extra
    return struct.pack("<BxHI", TYPES[name], len(header), len(payload)) + header + payload


def _take(data, at, fmt):
    size = struct.calcsize(fmt)
    if at + size > len(data):
        raise ProtocolError("short", "a header of %d bytes, where at least %d are needed" % (len(data), at + size))
    return struct.unpack_from(fmt, data, at), at + size


def parse(name, header):
    """The fields of a header; what lies behind those known here is ignored."""
    fixed, names = _fixed(name)
    values, at = _take(header, 0, fixed.format)
    fields = dict(zip(names, values))
    if name == "FRAME":
        fields["format"] = fields["format"].decode("latin-1")
    if name in _WITH_COUNTS:
        (n, fields["offered"], fields["sent"]), at = _take(header, at, "<H6xQQ")
        values, at = _take(header, at, "<%dQ" % n)
        lost = list(values[: len(CAUSES)]) + [0] * (len(CAUSES) - n)
        lost[CORRUPT] += sum(values[len(CAUSES) :])
        fields["lost"] = lost
    return fields


def prefix(data, max_frame=DEFAULT_MAX_FRAME):
    """(type, H, P) from a message's first eight bytes, within the limits."""
    (kind, h, p), _ = _take(data, 0, "<BxHI")
    if h > MAX_HEADER:
        raise ProtocolError("too_large", "a header of %d bytes" % h)
    limit = max_frame if kind == TYPES["FRAME"] else MAX_TEXT
    if p > limit:
        raise ProtocolError("too_large", "a payload of %d bytes, more than %d" % (p, limit))
    return kind, h, p


def balanced(fields):
    return fields["offered"] == fields["sent"] + sum(fields["lost"])


class Message:
    __slots__ = ("name", "fields", "payload", "first", "last", "rest")


class Reader:
    """Takes messages from a socket, and notes when they came. now is the clock."""

    def __init__(self, sock, now=time.monotonic_ns, max_frame=DEFAULT_MAX_FRAME):
        self.sock, self.now, self.max_frame = sock, now, max_frame
        self.buffer = bytearray()
        self.at = 0  # when the last read returned
        self.skipped = 0  # messages of types that are not known here

    def _fill(self, n):
        """Reads until n bytes are there. A timeout loses nothing."""
        while len(self.buffer) < n:
            data = self.sock.recv(1 << 18)
            self.at = self.now()
            if not data:
                if self.buffer:
                    raise ProtocolError("short", "the stream ended within a message")
                raise EOFError
            self.buffer += data

    def preamble(self):
        self._fill(4)
        got = bytes(self.buffer[:4])
        if got != PREAMBLE:
            raise ProtocolError("short", "no preamble but %r" % got)
        del self.buffer[:4]

    def message(self):
        """The next message of a known type. EOFError at the stream's end."""
        while True:
            self._fill(1)
            first = self.at
            present = len(self.buffer)
            self._fill(8)
            kind, h, p = prefix(self.buffer, self.max_frame)
            self._fill(8 + h + p)
            data = bytes(self.buffer[: 8 + h + p])
            del self.buffer[: 8 + h + p]
            if kind not in NAMES:
                self.skipped += 1
                continue
            m = Message()
            m.name = NAMES[kind]
            m.fields = parse(m.name, data[8 : 8 + h])
            m.payload = data[8 + h :]
            m.first, m.last = first, self.at
            m.rest = min(p, max(0, len(data) - present))
            return m
