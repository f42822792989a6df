"""A receiver of wire v1: `framepipe send` connects to it directly."""

from __future__ import annotations

import dataclasses
import json
import re
import socket
import ssl
import threading
import time
from typing import Any, Dict, Iterator, List, Optional

from . import tls, wire
from .frame import Frame, FramepipeError

HANDSHAKE = 5.0
SILENCE = 30.0
PING_EVERY = 1_000_000_000  # ns
PINGS_FIRST = 5


class _Camera:
    """One sender's session, over as many connections as it makes."""

    def __init__(self, name: str, session: int) -> None:
        self.name = name
        self.session = session
        self.last_seq = 0
        self.received = 0
        self.frame: Optional[Frame] = None  # the newest that nobody has taken
        self.skipped = 0
        self.state: Dict[str, Any] = {}
        self.clock = wire.Clock()
        self.conn: Optional[_Connection] = None


class Listener:
    """Accepts cameras and gives their newest frames. Use it in a with statement, or
    close it. Anybody who reaches the port can send, unless context (see
    server_context) asks cameras for certificates; tokens cannot be spoken here."""

    def __init__(
        self, host: str = "0.0.0.0", port: int = 1308, *, max_frame: int = wire.MAX_FRAME, max_cameras: int = 16, context: Optional[ssl.SSLContext] = None
    ) -> None:
        self._context = context
        self._max_frame = max_frame
        self._max_cameras = max_cameras
        self._lock = threading.Condition()
        self._cameras: Dict[str, _Camera] = {}
        self._threads: List[threading.Thread] = []
        self._closed = False
        self._sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port: int = self._sock.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="framepipe accept", daemon=True)
        self._acceptor.start()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Says goodbye to the cameras and waits for all threads."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            conns = [c.conn for c in self._cameras.values() if c.conn]
            self._lock.notify_all()
        for c in conns:
            c.leave(1, "the program ended")
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # not every system knows this of a listening socket
        self._sock.close()
        self._acceptor.join()
        for t in self._threads:
            t.join()

    def cameras(self) -> List[str]:
        """Those that are connected."""
        with self._lock:
            return [c.name for c in self._cameras.values() if c.conn]

    def state(self, camera: str) -> Dict[str, Any]:
        """What the camera last said of itself (STATE in PROTOCOL.md)."""
        with self._lock:
            return dict(self._cameras[camera].state)

    def control(self, camera: str, timeout: float = 20.0, **settings: Any) -> Dict[str, Any]:
        """Asks a camera to change settings (quality=60, width=640, height=480, …) and
        returns what it really does then. What it refuses is a FramepipeError."""
        with self._lock:
            known = self._cameras.get(camera)
            conn = known.conn if known else None
        if conn is None:
            raise FramepipeError("camera %s is not connected" % camera)
        answer = conn.ask(settings, timeout)
        if answer.get("error"):
            raise FramepipeError(str(answer["error"]))
        return answer

    def frames(self, camera: Optional[str] = None, timeout: Optional[float] = None) -> Iterator[Frame]:
        """The newest frame of a camera, or of all in turn, again and again until the
        listener is closed. timeout: end after so many seconds without a frame."""
        turn = ""
        while True:
            with self._lock:
                deadline = None if timeout is None else time.monotonic() + timeout
                while True:
                    ready = sorted(c.name for c in self._cameras.values() if c.frame and camera in (None, c.name))
                    if ready or self._closed:
                        break
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        return
                    self._lock.wait(left)
                if self._closed:
                    return
                turn = next((n for n in ready if n > turn), ready[0])
                c = self._cameras[turn]
                f, c.frame = c.frame, None
                skipped, c.skipped = c.skipped, 0
            assert f is not None
            yield dataclasses.replace(f, skipped=skipped)

    __iter__ = frames

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return  # closed
            t = threading.Thread(target=_Connection(self, sock).run, name="framepipe camera", daemon=True)
            with self._lock:
                self._threads = [x for x in self._threads if x.is_alive()] + [t]
                if self._closed:
                    sock.close()
                    return
                t.start()


class _Connection:
    def __init__(self, owner: Listener, sock: socket.socket) -> None:
        self.owner = owner
        self.sock: "socket.socket | tls.Socket" = sock
        self.camera: Optional[_Camera] = None
        self.reader = wire.Reader(sock, owner._max_frame)
        self.lock = threading.Lock()  # one message at a time
        self.waiting: Dict[int, "List[Dict[str, Any]]"] = {}
        self.answered = threading.Condition()
        self.number = 0

    def write(self, b: bytes) -> None:
        with self.lock:
            self.sock.sendall(b)

    def leave(self, reason: int, text: str) -> None:
        try:
            self.write(wire.goodbye(reason, self.camera.received if self.camera else 0, text))
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already

    def run(self) -> None:
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock.settimeout(HANDSHAKE)
            if self.owner._context and isinstance(self.sock, socket.socket):
                secure = tls.Socket(self.sock, self.owner._context, HANDSHAKE)
                with self.lock:
                    self.sock = secure
                self.reader = wire.Reader(secure, self.owner._max_frame)
            self.meet()
            self.sock.settimeout(SILENCE)
            self.receive()
        except FramepipeError as e:
            self.leave(3, str(e))
        except (OSError, ValueError):
            pass  # the sender dials again
        finally:
            with self.owner._lock:
                if self.camera and self.camera.conn is self:
                    self.camera.conn = None
            with self.answered:
                self.camera = None
                self.answered.notify_all()
            self.sock.close()

    def meet(self) -> None:
        self.reader.preamble()
        m = self.reader.message()
        if m.kind != wire.HELLO:
            raise FramepipeError("a message of type %d where HELLO was due" % m.kind)
        h = wire.hello(m.header)
        text = json.loads(m.payload)
        if not isinstance(text, dict):
            raise FramepipeError("HELLO's payload is no object")
        self.write(wire.PREAMBLE)
        name = re.sub(r"[^A-Za-z0-9._-]", "-", str(text.get("name", "")))[:48].strip("-.") or "camera"
        with self.owner._lock:
            camera = next((c for c in self.owner._cameras.values() if c.session == h.session), None)
            if camera is None:
                for old in [n for n, c in self.owner._cameras.items() if not c.conn and n == name]:
                    del self.owner._cameras[old]  # its program was started anew
                taken, n = name, 1
                while taken in self.owner._cameras:
                    n += 1
                    taken = "%s-%d" % (name, n)
                if len(self.owner._cameras) < self.owner._max_cameras and not self.owner._closed:
                    camera = _Camera(taken, h.session)
                    self.owner._cameras[taken] = camera
            older = camera.conn if camera else None
        if camera is None:
            self.leave(5, "there is no room for another camera")
            raise OSError("no room")
        if older:
            older.leave(4, "a newer connection took its place")
        for n in range(PINGS_FIRST):  # while the link is idle
            self.write(wire.ping(n + 1, time.monotonic_ns()))
            while True:
                m = self.reader.message()
                if m.kind == wire.PONG:
                    camera.clock.add(wire.pong(m.header), m.last)
                    break
                if m.kind == wire.BYE:
                    raise OSError("it left")
        with self.owner._lock:
            camera.conn, self.camera = self, camera
            camera.state = text.get("state") or {}
        self.write(wire.welcome(h.session, camera.last_seq, camera.received, self.owner._max_frame, {"name": camera.name, "software": "framepipe for Python"}))

    def receive(self) -> None:
        camera, pinged, number = self.camera, time.monotonic_ns(), PINGS_FIRST
        assert camera is not None
        while True:
            m = self.reader.message()
            if m.kind == wire.FRAME:
                f = wire.frame(m.header)
                with self.owner._lock:
                    camera.received += 1
                    received = camera.received
                    if f.seq > camera.last_seq and camera.conn is self:
                        camera.last_seq = f.seq
                        captured, error = camera.clock.ours(f.captured, m.last)
                        if camera.frame:
                            camera.skipped += 1
                        camera.frame = Frame(camera.name, m.payload, f.format, f.width or None, f.height or None, f.stride, f.seq, captured, error, m.last)
                        self.owner._lock.notify_all()
                out = wire.ack(f.seq, m.first, m.last, received, m.rest)
                if m.last - pinged > PING_EVERY:
                    number, pinged = number + 1, m.last
                    out += wire.ping(number, time.monotonic_ns())
                self.write(out)
            elif m.kind == wire.PING:
                self.write(wire.pong_to(m.header, m.last))
            elif m.kind == wire.PONG:
                camera.clock.add(wire.pong(m.header), m.last)
            elif m.kind == wire.STATE:
                st = json.loads(m.payload)
                with self.owner._lock:
                    camera.state = st
                with self.answered:
                    if wire.state_id(m.header) in self.waiting:
                        self.waiting[wire.state_id(m.header)].append(st)
                        self.answered.notify_all()
            elif m.kind == wire.REPORT and m.last - pinged > PING_EVERY:
                number, pinged = number + 1, m.last
                self.write(wire.ping(number, time.monotonic_ns()))
            elif m.kind == wire.BYE:
                self.leave(0, "")
                return

    def ask(self, settings: Dict[str, Any], timeout: float) -> Dict[str, Any]:
        with self.answered:
            self.number += 1
            number = self.number
            answers: "List[Dict[str, Any]]" = []
            self.waiting[number] = answers
        try:
            self.write(wire.control(number, settings))
            with self.answered:
                self.answered.wait_for(lambda: answers or self.camera is None, timeout)
        except OSError as e:
            raise FramepipeError("the camera is gone: %s" % e) from e
        finally:
            with self.answered:
                del self.waiting[number]
        if not answers:
            raise FramepipeError("the camera did not answer")
        return answers[0]


def listen(
    host: str = "0.0.0.0", port: int = 1308, *, camera: Optional[str] = None, timeout: Optional[float] = None, context: Optional[ssl.SSLContext] = None
) -> Iterator[Frame]:
    """Accepts cameras, `framepipe send THIS-MACHINE`, and gives the newest frame of one
    or of all of them in turn, without end unless timeout seconds pass without any."""
    with Listener(host, port, context=context) as l:
        yield from l.frames(camera, timeout)
