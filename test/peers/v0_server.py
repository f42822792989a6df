#!/usr/bin/env python3
"""A viewer that speaks wire v0, behaving as the published laptop script does.

It takes one camera, reads frames, counts them in records of 10 s, prints a line
for each, and after its last record writes the summary and ends itself while the
camera may still be sending: the camera then sees a reset. As in that script, a
record closes when a frame arrives after its time is over, and the first record's
clock starts before the first frame.
"""

import argparse
import io
import json
import os
import socket
import struct
import sys
import time
import zlib

import misbehave
import tinyjpeg

try:
    import PIL.Image as pil  # what the published script opens its pictures with
except ImportError:
    pil = None


class Short(Exception):
    """The stream ended inside a length or a frame."""


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--address", default="0.0.0.0")
    p.add_argument("--port", type=int, default=1308, help="0: any free port; it is printed")
    p.add_argument("-W", "--img_width", type=int, default=320)
    p.add_argument("-H", "--img_height", type=int, default=240)
    p.add_argument("-format", "--img_format", choices=("jpeg", "yuv", "rgb"), default="jpeg")
    p.add_argument("--record-length", type=float, default=10.0)
    p.add_argument("--records", type=int, default=100)
    p.add_argument("--summary", help="file for the summary")
    p.add_argument("--dump", help="folder for every frame's bytes, 000001.bin and so on")
    p.add_argument("--json", action="store_true", help="one JSON object about the run as the last line")
    p.add_argument("--pil", action="store_true", help="open JPEGs with PIL, as the published script does, rather than look for their size alone")
    p.add_argument("--no-open", action="store_true", help="do not look into the frames")
    p.add_argument("--timeout", type=float, default=60.0, help="give up when nothing arrives for so long")
    p.add_argument("--misbehave", choices=sorted(misbehave.SERVER))
    p.add_argument("--after", type=int, default=3, help="misbehave after so many frames")
    args = p.parse_args(argv)
    if args.pil and pil is None:
        p.error("--pil needs PIL (apt-get install python3-pil)")
    return args


def read_frame(connection):
    """One frame; None at the 0 length; EOFError at an end without it."""
    head = connection.read(4)
    if not head:
        raise EOFError
    if len(head) < 4:
        raise Short("%d bytes of a length" % len(head))
    (length,) = struct.unpack("<L", head)
    if length == 0:
        return None
    data = connection.read(length)
    if len(data) < length:
        raise Short("%d of %d bytes" % (len(data), length))
    return data


def open_frame(data, args):
    """What the picture is, or ValueError. Raw frames may be padded or not."""
    if args.img_format == "jpeg":
        if args.pil:
            return pil.open(io.BytesIO(data)).size
        return tinyjpeg.dimensions(data)
    w, h = args.img_width, args.img_height
    pw, ph = (w + 31) // 32 * 32, (h + 15) // 16 * 16
    if args.img_format == "yuv":
        want = {w * h + 2 * ((w + 1) // 2 * ((h + 1) // 2)): (w, h), pw * ph * 3 // 2: (pw, ph)}
    else:
        want = {w * h * 3: (w, h), pw * ph * 3: (pw, ph)}
    if len(data) not in want:
        raise ValueError("%d bytes are no %dx%d %s" % (len(data), w, h, args.img_format))
    return want[len(data)]


class Records:
    """The origin's bookkeeping."""

    def __init__(self, length, limit):
        self.length, self.limit, self.done = length, limit, []
        self._begin()

    def _begin(self):
        self.start, self.frames, self.bytes = time.monotonic(), 0, 0

    def add(self, size):
        self.frames += 1
        self.bytes += size
        elapsed = time.monotonic() - self.start
        if elapsed >= self.length:
            self.done.append((self.frames, elapsed, self.bytes / self.frames))
            print("record %d: %d frames in %.3f s, %.0f bytes each" % (len(self.done), *self.done[-1]), flush=True)
            self._begin()
        return len(self.done) >= self.limit

    def write(self, path):
        with open(path, "w") as f:
            f.write("nbr_images, elapsed(sec), avg_img_size\n")
            for record in self.done:
                f.write("%d, %s, %s\n" % record)


def serve(sock, args, result):
    connection = sock.makefile("rb")
    records = Records(args.record_length, args.records)
    try:
        while True:
            if args.misbehave and result["frames"] >= args.after:
                result["end"] = "misbehaved"
                misbehave.SERVER[args.misbehave](sock)
                return
            data = read_frame(connection)
            if data is None:
                result["end"] = "zero length"
                return
            if not args.no_open:
                try:
                    result["size"] = list(open_frame(data, args))
                except ValueError as e:
                    result["bad"].append("frame %d: %s" % (result["frames"] + 1, e))
            result["frames"] += 1
            result["bytes"] += len(data)
            if args.json:
                result["crc"] = zlib.crc32(data, result["crc"])
            if args.dump:
                with open(os.path.join(args.dump, "%06d.bin" % result["frames"]), "wb") as f:
                    f.write(data)
            if records.add(len(data)):
                result["end"] = "last record"
                return
    except EOFError:
        result["end"] = "closed without the 0 length"
    except Short as e:
        result["end"] = "broken off: %s" % e
    except socket.timeout:
        result["end"] = "nothing arrived for %g s" % args.timeout
    except OSError as e:
        result["end"] = "failed: %s" % e
    finally:
        connection.close()
        result["records"] = len(records.done)
        # The published script loses its summary unless it reaches the last record.
        if args.summary and result["end"] == "last record":
            records.write(args.summary)


def main(argv=None):
    args = parse(argv)
    if args.dump:
        os.makedirs(args.dump, exist_ok=True)
    result = {"frames": 0, "bytes": 0, "crc": 0, "end": "", "records": 0, "size": None, "bad": []}
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((args.address, args.port))
        listener.listen(1)
        listener.settimeout(args.timeout)
        print("listening on %s:%d" % listener.getsockname(), flush=True)
        sock, _ = listener.accept()
        sock.settimeout(args.timeout)
        started = time.monotonic()
        with sock:
            serve(sock, args, result)
    result["seconds"] = time.monotonic() - started
    if args.json:
        print(json.dumps(result))
    else:
        print("%(frames)d frames, %(bytes)d bytes, end: %(end)s" % result)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
