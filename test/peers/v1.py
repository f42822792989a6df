#!/usr/bin/env python3
"""A sender and a receiver of wire v1, written from PROTOCOL.md alone.

    v1.py send --address HOST --port P     a camera of synthetic frames
    v1.py receive --port P                 a viewer that acknowledges and counts

Both end with one JSON object about the run if asked by --json. They are made for
tests: see README.md for what can be asked of them.
"""

import argparse
import json
import os
import random
import socket
import sys
import threading
import time
import zlib

import picamera
import v1wire
from v1wire import REASONS, Reader, build

FOURCC = {"jpeg": "JPEG", "yuv": "YU12", "rgb": "RGB3"}
STAMP_TICK = 3


class Clock:
    """A monotonic clock, wrong on purpose by an offset and a drift."""

    def __init__(self, offset_ms=0.0, drift_ppm=0.0):
        self.base = time.monotonic_ns()
        self.offset, self.drift = int(offset_ms * 1e6), drift_ppm * 1e-6

    def now(self):
        elapsed = time.monotonic_ns() - self.base
        return self.base + elapsed + int(elapsed * self.drift) + self.offset


def tight_frame(fmt, width, height, n, jpeg_size=0):
    """Frame n as picamera.py describes it, without padding. (data, stride)"""
    if fmt == "jpeg":
        return picamera.jpeg_frame(width, height, n, jpeg_size), 0
    rows = [picamera.luma_row(width, y, n) for y in range(height)]
    if fmt == "yuv":
        chroma = ((width + 1) // 2) * ((height + 1) // 2)
        return b"".join(rows) + bytes([(128 + n) % 256]) * chroma + bytes([(64 + n) % 256]) * chroma, width
    out = bytearray(3 * width * height)
    luma = b"".join(rows)
    out[0::3] = luma
    out[1::3] = bytes((v + 85) % 256 for v in luma)
    out[2::3] = bytes((v + 170) % 256 for v in luma)
    return bytes(out), 3 * width


class Sender:
    """One session; it may have several connections, one after another."""

    def __init__(self, args):
        self.args, self.clock = args, Clock(args.clock_offset_ms, args.drift_ppm)
        self.session = args.session or random.getrandbits(63) | 1
        self.seq = self.offered = self.sent = 0
        self.lost = [0] * len(v1wire.CAUSES)
        self.state = {"mode": "sequence", "port": "video", "format": args.format, "width": args.width, "height": args.height, "fps": args.fps, "quality": 85}
        self.lock = threading.Lock()  # one message at a time on the socket
        self.result = {"sent": 0, "acks": 0, "acked": 0, "pongs": 0, "welcomes": [], "controls": [], "byes": [], "end": ""}

    def ledger(self):
        lost = list(self.lost)
        if self.args.future:
            lost += [0, 0]  # causes of a later version
        return v1wire.counts(self.offered, self.sent, lost)

    def write(self, name, fields, payload=b""):
        extra = b"later" if self.args.future else b""
        with self.lock:
            self.sock.sendall(build(name, fields, payload, extra))
            if self.args.future:
                self.sock.sendall(bytes([201, 7, 3, 0, 4, 0, 0, 0]) + b"hdrbody")

    def connect(self):
        a = self.args
        self.sock = socket.create_connection((a.address, a.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = {"name": a.name, "software": "test/peers/v1.py", "host": "python", "state": self.state, "accepts": ["quality", "fps"]}
        if a.token:
            hello["auth"] = {"token": a.token}
        if a.future:
            hello["horizon"] = {"of": ["a", "later", "version"]}
        self.sock.sendall(v1wire.PREAMBLE)
        self.write("HELLO", dict(version=v1wire.VERSION, session=self.session, now=self.clock.now(), **self.ledger()), json.dumps(hello).encode())
        self.reader = Reader(self.sock, self.clock.now)
        self.reader.preamble()
        while True:
            m = self.reader.message()
            if m.name == "WELCOME":
                self.result["welcomes"].append(dict(m.fields, **json.loads(m.payload)))
                return True
            if not self.handle(m):
                return False

    def handle(self, m):
        """Reacts to a message; False after BYE."""
        if m.name == "PING":
            t2 = m.last
            self.write("PONG", {"id": m.fields["id"], "t1": m.fields["t1"], "t2": t2, "t3": self.clock.now()})
            self.result["pongs"] += 1
        elif m.name == "ACK":
            self.result["acks"] += 1
            self.result["acked"] = m.fields["seq"]
            if m.fields["first_byte"] > m.fields["last_byte"]:
                self.result["end"] = "an ACK whose first byte is younger than its last"
        elif m.name == "CONTROL":
            asked = json.loads(m.payload)
            answer = dict(self.state)
            unknown = [k for k in asked if k not in ("quality", "fps")]
            if unknown:
                answer["error"] = "cannot change %s" % ", ".join(unknown)
            else:
                self.state.update(asked)
                answer.update(asked)
            self.result["controls"].append(asked)
            self.write("STATE", {"id": m.fields["id"]}, json.dumps(answer).encode())
        elif m.name == "BYE":
            self.result["byes"].append([m.fields["reason"], m.fields["received"], m.payload.decode()])
            return False
        return True

    def listen(self):
        """Runs on a thread of its own until the connection ends."""
        try:
            while self.handle(self.reader.message()):
                pass
        except (EOFError, OSError, v1wire.ProtocolError) as e:
            self.broken = e
        self.ended.set()

    def frames(self, count):
        """Sends so many frames at the frame rate. False when the other side ended."""
        a = self.args
        start = time.monotonic()
        for i in range(count):
            if self.ended.wait(max(0.0, start + i / self.state["fps"] - time.monotonic()) if a.fps else 0):
                return False
            self.seq += 1
            self.offered += 1
            if a.skip and self.seq % a.skip == 0:  # as if the driver had lost it
                self.lost[0] += 1
                continue
            captured = self.clock.now()
            data, stride = tight_frame(a.format, a.width, a.height, self.seq - 1, a.jpeg_size)
            encoded = self.clock.now()
            self.sent += 1
            fields = dict(
                seq=self.seq, captured=captured, dequeued=captured, encoded=encoded, send_started=self.clock.now(),
                format=FOURCC[a.format], width=a.width, height=a.height, stride=stride, stamp_kind=STAMP_TICK, **self.ledger()
            )
            try:
                self.write("FRAME", fields, data)
            except OSError as e:
                self.broken = e
                return False
        return True

    def run(self):
        a = self.args
        for connection in range(a.connections):
            self.ended, self.broken = threading.Event(), None
            if not self.connect():
                self.result["end"] = "refused"
                break
            self.sock.settimeout(None)
            listener = threading.Thread(target=self.listen, daemon=True)
            listener.start()
            going = self.frames(a.frames)
            last = connection == a.connections - 1
            if going and a.idle:
                self.ended.wait(a.idle)
                self.write("REPORT", dict(now=self.clock.now(), **self.ledger()))
            if going and not last:  # break off, to dial again
                self.sock.close() if a.abrupt else self.sock.shutdown(socket.SHUT_RDWR)
                listener.join(5)
                continue
            if not self.ended.is_set():
                self.write("BYE", dict(reason=REASONS["ended"], **self.ledger()), b"that was all")
                self.ended.wait(5)
                self.result["end"] = self.result["end"] or ("bye" if self.result["byes"] else "no answer to BYE: %r" % self.broken)
            else:
                if self.result["byes"]:
                    self.write("BYE", dict(reason=REASONS["ended"], **self.ledger()))
                self.result["end"] = "bye from the receiver" if self.result["byes"] else "lost: %r" % self.broken
            self.sock.close()
            if not going:
                break
        self.result["sent"] = self.sent
        return self.result


class Receiver:
    """One session of one camera, over as many connections as it takes."""

    def __init__(self, args):
        self.args, self.clock = args, Clock()
        self.session, self.last_seq, self.received = 0, 0, 0
        self.pings = {}
        self.result = {"frames": 0, "bytes": 0, "crc": 0, "old": 0, "unbalanced": 0, "reports": 0, "states": [], "hello": None, "size": None,
                       "format": None, "offset_ns": None, "error_ns": None, "skipped": 0, "counts": None, "bye": None, "connections": 0, "end": ""}

    def write(self, name, fields, payload=b""):
        extra = b"later" if self.args.future else b""
        self.sock.sendall(build(name, fields, payload, extra))
        if self.args.future:
            self.sock.sendall(bytes([77, 0, 0, 0, 3, 0, 0, 0]) + b"new")

    def ping(self):
        number = len(self.pings) + 1
        self.pings[number] = t1 = self.clock.now()
        self.write("PING", {"id": number, "t1": t1})

    def pong(self, m):
        f, t4 = m.fields, m.last
        if self.pings.get(f["id"]) != f["t1"]:
            raise v1wire.ProtocolError("short", "a PONG to no PING")
        # The sender's clock minus ours lies between t3 - t4 and t2 - t1.
        low, high = f["t3"] - t4, f["t2"] - f["t1"]
        if self.result["error_ns"] is None or high - low < 2 * self.result["error_ns"]:
            self.result["offset_ns"], self.result["error_ns"] = (low + high) // 2, (high - low + 1) // 2

    def check(self, fields):
        if not v1wire.balanced(fields):
            self.result["unbalanced"] += 1
        self.result["counts"] = {k: fields[k] for k in ("offered", "sent", "lost")}

    def handshake(self):
        self.sock.settimeout(5)
        self.reader.preamble()
        m = self.reader.message()
        if m.name != "HELLO":
            raise v1wire.ProtocolError("short", "%s where HELLO should be" % m.name)
        self.check(m.fields)
        hello = json.loads(m.payload)
        self.result["hello"] = hello
        self.sock.sendall(v1wire.PREAMBLE)
        if self.args.refuse or (self.args.token and hello.get("auth", {}).get("token") != self.args.token):
            self.write("BYE", {"reason": REASONS["refused"]}, (self.args.refuse or "wrong token").encode())
            self.result["end"] = "refused"
            return False
        if m.fields["session"] != self.session:
            self.session, self.last_seq, self.received = m.fields["session"], 0, 0
            for _ in range(5):
                self.ping()
                while True:
                    m = self.reader.message()
                    if m.name == "PONG":
                        self.pong(m)
                        break
        self.write("WELCOME", dict(version=v1wire.VERSION, max_frame=v1wire.DEFAULT_MAX_FRAME, session=self.session, last_seq=self.last_seq, received=self.received),
                   json.dumps({"name": hello.get("name", ""), "software": "test/peers/v1.py"}).encode())
        return True

    def frame(self, m):
        f, r = m.fields, self.result
        self.check(f)
        if f["seq"] <= self.last_seq:
            r["old"] += 1
            return
        self.last_seq = f["seq"]
        self.received += 1
        r["frames"] += 1
        r["bytes"] += len(m.payload)
        r["crc"] = zlib.crc32(m.payload, r["crc"])
        r["size"], r["format"] = [f["width"], f["height"]], f["format"]
        if self.args.dump:
            with open(os.path.join(self.args.dump, "%06d.bin" % f["seq"]), "wb") as out:
                out.write(m.payload)
        if not self.args.no_ack:
            self.write("ACK", {"seq": f["seq"], "first_byte": m.first, "last_byte": m.last, "received": self.received, "rest": m.rest})

    def handle(self, m):
        r = self.result
        if m.name == "FRAME":
            self.frame(m)
        elif m.name == "PONG":
            self.pong(m)
        elif m.name == "PING":
            self.write("PONG", dict(id=m.fields["id"], t1=m.fields["t1"], t2=m.last, t3=self.clock.now()))
        elif m.name == "REPORT":
            self.check(m.fields)
            r["reports"] += 1
        elif m.name == "STATE":
            r["states"].append([m.fields["id"], json.loads(m.payload)])
        elif m.name == "BYE":
            self.check(m.fields)
            r["bye"] = [m.fields["reason"], m.payload.decode()]
            return False
        return True

    def serve(self, sock):
        """One connection. True if the camera may come back."""
        a, r = self.args, self.result
        self.sock, self.reader = sock, Reader(sock, self.clock.now)
        r["connections"] += 1
        began = r["frames"]
        saying_bye = False
        try:
            if not self.handshake():
                return False
            if a.control:
                self.write("CONTROL", {"id": 4711}, a.control.encode())
            sock.settimeout(0.25)
            last_ping = last_message = time.monotonic()
            while True:
                if time.monotonic() - last_ping > 1 and not saying_bye:
                    self.ping()
                    last_ping = time.monotonic()
                try:
                    m = self.reader.message()
                    last_message = time.monotonic()
                except socket.timeout:
                    if time.monotonic() - last_message > 30:
                        r["end"] = "silent for 30 s"
                        return False
                    continue
                if not self.handle(m):
                    if not saying_bye:
                        self.write("BYE", {"reason": REASONS["enough"], "received": self.received}, b"goodbye")
                    r["end"] = "bye"
                    return False
                if a.frames and r["frames"] >= a.frames and not saying_bye:
                    self.write("BYE", {"reason": REASONS["enough"], "received": self.received}, b"enough")
                    saying_bye = True
                if a.hang_up_after and r["frames"] - began >= a.hang_up_after and r["connections"] < a.connections:
                    r["end"] = "hung up"
                    return True
        except EOFError:
            r["end"] = "lost: the stream ended without BYE"
        except v1wire.ProtocolError as e:
            r["end"] = "protocol: %s" % e
            try:
                self.write("BYE", {"reason": REASONS["protocol"], "received": self.received}, str(e).encode())
            except OSError:
                pass
            return False
        except OSError as e:
            r["end"] = "lost: %s" % e
        finally:
            r["skipped"] += self.reader.skipped
        return True

    def run(self):
        a = self.args
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((a.address, a.port))
            listener.listen(1)
            listener.settimeout(30)
            print("listening on %s:%d" % listener.getsockname(), flush=True)
            for _ in range(a.connections):
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with sock:
                    if not self.serve(sock):
                        break
        return self.result


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="command", required=True)
    s, r = sub.add_parser("send"), sub.add_parser("receive")
    for c in (s, r):
        c.add_argument("--address", default="127.0.0.1")
        c.add_argument("--port", type=int, default=1308)
        c.add_argument("--token")
        c.add_argument("--json", action="store_true", help="one JSON object about the run as the last line")
        c.add_argument("--future", action="store_true", help="add what a later version might: fields, keys, causes, messages")
        c.add_argument("--connections", type=int, default=1, help="how many connections of one session")
    s.add_argument("--name", default="python")
    s.add_argument("-W", "--width", type=int, default=320)
    s.add_argument("-H", "--height", type=int, default=240)
    s.add_argument("--format", choices=sorted(FOURCC), default="jpeg")
    s.add_argument("--jpeg-size", type=int, default=0)
    s.add_argument("--frames", type=int, default=30, help="of each connection")
    s.add_argument("--fps", type=float, default=30)
    s.add_argument("--skip", type=int, default=0, help="every so many frames one counts as lost by the driver")
    s.add_argument("--idle", type=float, default=0, help="seconds between the last frame and the end")
    s.add_argument("--abrupt", action="store_true", help="close instead of shutting down before dialling again")
    s.add_argument("--session", type=lambda x: int(x, 16), default=0)
    s.add_argument("--clock-offset-ms", type=float, default=0)
    s.add_argument("--drift-ppm", type=float, default=0)
    r.add_argument("--frames", type=int, default=0, help="say BYE after so many frames (0: go on)")
    r.add_argument("--dump", help="folder for every frame's bytes, named by sequence number")
    r.add_argument("--control", help="JSON to send as a CONTROL after WELCOME")
    r.add_argument("--refuse", help="refuse with this sentence")
    r.add_argument("--no-ack", action="store_true")
    r.add_argument("--hang-up-after", type=int, default=0, help="close without BYE after so many frames of a connection, but the last")
    return p.parse_args(argv)


def main(argv=None):
    args = parse(argv)
    result = (Sender if args.command == "send" else Receiver)(args).run()
    print(json.dumps(result) if args.json else result["end"])
    return 0


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
