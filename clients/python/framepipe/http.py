"""Frames over HTTP: from a framepipe receiver over its WebSocket, with stamps and the
newest frame only; from any MJPEG server as multipart."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import select
import socket
import ssl
import struct
import time
from typing import Any, Dict, Iterator, Optional, Tuple
from urllib.parse import quote, urlsplit

from .frame import Frame, FramepipeError

MAX_FRAME = 32 << 20
_FRAME = struct.Struct("<BBHIQqqqq4sIIIQ4s4x")
_SHOWN, _OVERTAKEN = 0, 1


def _connect(url: str, token: Optional[str], context: Optional[ssl.SSLContext], timeout: float) -> "Tuple[socket.socket, str, str, Dict[str, str]]":
    u = urlsplit(url)
    if u.scheme not in ("http", "https") or not u.hostname:
        raise FramepipeError("%r is no http address" % url)
    try:
        sock: socket.socket = socket.create_connection((u.hostname, u.port or (443 if u.scheme == "https" else 80)), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if u.scheme == "https":
            sock = (context or ssl.create_default_context()).wrap_socket(sock, server_hostname=u.hostname)
    except OSError as e:
        raise FramepipeError("%s://%s: %s" % (u.scheme, u.netloc, e)) from e
    headers = {"Host": u.netloc.rpartition("@")[2]}
    if token:
        headers["Authorization"] = "Bearer " + token
    path = u.path + ("?" + u.query if u.query else "")
    return sock, headers["Host"], path, headers


class _Reading:
    """Reads bytes of a socket and knows when there are more."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buf = bytearray()

    def more(self) -> None:
        part = self.sock.recv(1 << 18)
        if not part:
            raise FramepipeError("the connection ended")
        self.buf += part

    def drain(self) -> None:
        """Reads what is there already; the end, if it is, is for the next one to find."""
        while len(self.buf) < MAX_FRAME and self.arriving():
            part = self.sock.recv(1 << 18)
            if not part:
                return
            self.buf += part

    def take(self, n: int) -> bytes:
        while len(self.buf) < n:
            self.more()
        out = bytes(memoryview(self.buf)[:n])
        del self.buf[:n]
        return out

    def until(self, mark: bytes, most: int) -> bytes:
        while (at := self.buf.find(mark)) < 0:
            if len(self.buf) > most:
                raise FramepipeError("there is no end of a head within %d bytes" % most)
            self.more()
        return self.take(at + len(mark))

    def waiting(self) -> bool:
        """Whether there is something to be read at once."""
        return bool(self.buf) or self.arriving()

    def arriving(self) -> bool:
        """Whether the socket has something."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return True
        return bool(select.select([self.sock], [], [], 0)[0])


def _response(r: _Reading) -> "Tuple[int, Dict[str, str]]":
    lines = r.until(b"\r\n\r\n", 64 << 10).decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        k, _, v = line.partition(":")
        headers[k.strip().lower()] = v.strip()
    return int(lines[0].split()[1]), headers


def _refused(status: int, r: _Reading, headers: Dict[str, str]) -> FramepipeError:
    n = headers.get("content-length", "0")
    text = r.take(min(int(n), 4096)).decode("utf-8", "replace").strip() if n.isdigit() else ""
    return FramepipeError("the receiver answered %d: %s" % (status, text or http.client.responses.get(status, "")))


class _WebSocket:
    """As much of RFC 6455 as a client needs that talks to one server."""

    def __init__(self, url: str, token: Optional[str], context: Optional[ssl.SSLContext], timeout: float) -> None:
        self.sock, _, path, headers = _connect(url, token, context, timeout)
        self.r = _Reading(self.sock)
        try:
            key = base64.b64encode(os.urandom(16)).decode()
            headers.update({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key})
            self.sock.sendall(("GET %s HTTP/1.1\r\n%s\r\n" % (path, "".join("%s: %s\r\n" % h for h in headers.items()))).encode())
            status, got = _response(self.r)
            if status != 101:
                raise _refused(status, self.r, got)
            want = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
            if got.get("sec-websocket-accept") != want:
                raise FramepipeError("what answers is no WebSocket server")
        except BaseException:
            self.sock.close()
            raise

    def send(self, payload: bytes, opcode: int = 2) -> None:
        n = len(payload)
        head = bytes([0x80 | opcode]) + (bytes([0x80 | n]) if n < 126 else bytes([0x80 | 126]) + struct.pack(">H", n))
        mask = os.urandom(4)
        self.sock.sendall(head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def message(self) -> "Tuple[int, bytes]":
        """The next message: 1 text, 2 binary."""
        kind, whole = 0, b""
        while True:
            a, b = self.r.take(2)
            n = b & 0x7F
            if n == 126:
                (n,) = struct.unpack(">H", self.r.take(2))
            elif n == 127:
                (n,) = struct.unpack(">Q", self.r.take(8))
            if n + len(whole) > MAX_FRAME:
                raise FramepipeError("a message of %d bytes is more than is allowed" % n)
            payload, opcode = self.r.take(n), a & 0x0F
            if opcode == 8:
                raise FramepipeError("the receiver ended the connection: " + payload[2:].decode("utf-8", "replace"))
            if opcode == 9:
                self.send(payload, 10)
                continue
            if opcode == 10:
                continue
            kind = opcode or kind
            whole = whole + payload if whole else payload
            if a & 0x80:
                return kind, whole


def _say(kind: int, flag: int = 0, number: int = 0, a: int = 0, b: int = 0) -> bytes:
    return struct.pack("<BBBBIqq", 1, kind, flag, 0, number, a, b)


def frames(url: str = "http://127.0.0.1:8080", camera: Optional[str] = None, *, token: Optional[str] = None, context: Optional[ssl.SSLContext] = None, reconnect: bool = True, timeout: float = 10.0) -> Iterator[Frame]:
    """The newest frame of a camera of the receiver whose page is at url, again and
    again. Raw cameras' frames come as JPEG. Without a name it is the first camera.

    Asking for the next frame tells the receiver that the one before has been looked
    at: it never sends more than two ahead, so a slow program gets fresh frames, not
    all of them. reconnect: when the receiver is gone or the camera's name is unknown,
    try again each second instead of raising FramepipeError. context: for https with a
    certificate that the system does not know. Stamps are of the receiver's clock, which
    is ours if it runs on this machine; else latency ends when the frame left there, and age means
    nothing.
    """
    while True:
        try:
            yield from _looking(url.rstrip("/"), camera, token, context, timeout)
        except (FramepipeError, OSError) as e:
            if not reconnect:
                raise e if isinstance(e, FramepipeError) else FramepipeError(str(e)) from e
        time.sleep(1)


def _first_camera(url: str, token: Optional[str], context: Optional[ssl.SSLContext], timeout: float) -> str:
    sock, _, path, headers = _connect(url + "/cameras", token, context, timeout)
    with sock:
        headers["Connection"] = "close"
        sock.sendall(("GET %s HTTP/1.0\r\n%s\r\n" % (path, "".join("%s: %s\r\n" % h for h in headers.items()))).encode())
        r = _Reading(sock)
        status, got = _response(r)
        if status != 200:
            raise _refused(status, r, got)
        try:
            while True:
                r.more()
        except FramepipeError:
            pass  # the end
        all: Any = json.loads(bytes(r.buf))
        for c in all:
            if c.get("connected"):
                return str(c["name"])
    raise FramepipeError("no camera is connected yet")


def _looking(url: str, camera: Optional[str], token: Optional[str], context: Optional[ssl.SSLContext], timeout: float) -> Iterator[Frame]:
    name = camera or _first_camera(url, token, context, timeout)
    ws = _WebSocket("%s/cameras/%s/ws" % (url, quote(name, safe="")), token, context, timeout)
    try:
        ws.send(_say(4, a=1000))  # our clock's step
        ws.sock.settimeout(60)
        same = ws.sock.getsockname()[0] == ws.sock.getpeername()[0]  # machine, and so clock
        seen, dropped = 0, 0
        while True:
            newest: "Optional[Tuple[Tuple[Any, ...], bytes]]" = None
            arrived = overtaken = 0
            while newest is None or ws.r.waiting():
                kind, m = ws.message()
                now = time.monotonic_ns()
                if kind != 2 or len(m) < 24 or m[0] != 1:
                    continue
                if m[1] == 2:
                    (number,) = struct.unpack_from("<I", m, 4)
                    ws.send(_say(2, number=number, a=now, b=time.monotonic_ns()))
                elif m[1] == 1 and len(m) >= _FRAME.size:
                    if newest:
                        ws.send(_say(1, _OVERTAKEN, newest[0][3]))
                        overtaken += 1
                    newest, arrived = (_FRAME.unpack_from(m), m), now
            h, m = newest
            skipped = max(0, h[13] - dropped) + overtaken if seen else 0
            seen, dropped = seen + 1, h[13]
            captured, error, sent = h[5] or None, h[6] if h[6] >= 0 else None, h[8]
            # On another machine's clock what is known ends when the frame left there.
            here = arrived if same else sent
            yield Frame(name, m[h[2] :], h[9].decode("latin-1"), h[10] or None, h[11] or None, h[12], h[4], captured, error, here, None, skipped)
            ws.send(_say(1, _SHOWN, h[3], arrived, time.monotonic_ns()))
    finally:
        ws.sock.close()


def mjpeg(url: str, *, token: Optional[str] = None, context: Optional[ssl.SSLContext] = None, timeout: float = 10.0) -> Iterator[Frame]:
    """The frames of a multipart/x-mixed-replace stream of any server, the newest first
    when several have come. Ends with the stream."""
    sock, host, path, headers = _connect(url, token, context, timeout)
    with sock:
        headers["Connection"] = "close"
        sock.sendall(("GET %s HTTP/1.0\r\n%s\r\n" % (path or "/", "".join("%s: %s\r\n" % h for h in headers.items()))).encode())
        r = _Reading(sock)
        status, got = _response(r)
        if status != 200:
            raise _refused(status, r, got)
        kind, _, rest = got.get("content-type", "").partition(";")
        mark = rest.partition("boundary=")[2].split(";")[0].strip().strip('"')
        if not kind.strip().lower().startswith("multipart/") or not mark:
            raise FramepipeError("%s is no MJPEG stream but %s" % (url, got.get("content-type") or "unknown"))
        boundary = b"--" + mark.encode().lstrip(b"-")
        try:
            yield from _parts(r, boundary, host)
        except FramepipeError as e:
            if str(e) != "the connection ended":
                raise


def _parts(r: _Reading, boundary: bytes, host: str) -> Iterator[Frame]:
    r.until(boundary, MAX_FRAME)
    skipped = 0
    while True:
        end = r.until(b"\n", 1024)  # the rest of the boundary's line
        if end.startswith(b"--"):
            return
        head: Dict[str, str] = {}
        while (line := r.until(b"\n", 64 << 10).strip()) != b"":
            k, _, v = line.decode("latin-1").partition(":")
            head[k.strip().lower()] = v.strip()
        length = head.get("content-length", "")
        if length.isdigit():
            if int(length) > MAX_FRAME:
                raise FramepipeError("a part of %s bytes is more than is allowed" % length)
            data = r.take(int(length))
            arrived = time.monotonic_ns()
            r.until(boundary, 1024)
        else:  # until the boundary
            whole = r.until(b"\n" + boundary, MAX_FRAME)
            arrived = time.monotonic_ns()
            data = whole[: -len(boundary) - 1].rstrip(b"\r\n")
        r.drain()
        if boundary in r.buf and not r.buf.startswith(b"--"):  # another one is here, whole
            skipped += 1
            continue
        try:
            taken: Optional[float] = float(head.get("x-timestamp", ""))
        except ValueError:
            taken = None
        yield Frame(host, data, "JPEG", arrived=arrived, taken=taken, skipped=skipped)
        skipped = 0
