#!/usr/bin/env python3
"""A camera that speaks wire v0, behaving as the published camera script does.

The options before "for tests" are that script's. What matters of its behaviour:
the connection is a buffered file (socket.makefile("wb")), flushed after each
length and never after a frame, so a frame of 8192 bytes or fewer waits in the
buffer until the next length; raw frames are padded (see picamera.py); the stream
ends with a length of 0.
"""

import argparse
import io
import os
import socket
import struct
import sys
import time

import misbehave
import picamera


def parse(argv=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-ip", "--ip_last_number", type=int, default=108, help="last number of the server's address 192.168.0.N")
    p.add_argument("-W", "--img_width", type=int, default=320)
    p.add_argument("-H", "--img_height", type=int, default=240)
    p.add_argument("-format", "--img_format", choices=("jpeg", "yuv", "rgb"), default="jpeg")
    p.add_argument("-vidport", "--videoport", type=int, choices=(0, 1), default=1)
    mode = p.add_mutually_exclusive_group()
    mode.add_argument("-seq", "--sequence", action="store_true")
    mode.add_argument("-cont", "--continuous", action="store_true")
    t = p.add_argument_group("for tests")
    t.add_argument("--address", help="connect to this host instead of 192.168.0.N")
    t.add_argument("--port", type=int, default=1308)
    t.add_argument("--warmup", type=float, default=2.0, help="seconds before the first frame")
    t.add_argument("--frames", type=int, default=0, help="end after so many frames (0: run on)")
    t.add_argument("--seconds", type=float, default=0, help="end after so many seconds (0: run on)")
    t.add_argument("--framerate", type=int, default=30)
    t.add_argument("--quiet", action="store_true")
    t.add_argument("--misbehave", choices=sorted(misbehave.CLIENT), help="do this instead of streaming; see README.md")
    t.add_argument("--after", type=int, default=3, help="misbehave after so many good frames")
    return p.parse_args(argv)


class Budget:
    """Says when the run is over, and counts."""

    def __init__(self, frames, seconds):
        self.frames, self.seconds = frames, seconds
        self.sent, self.start = 0, time.monotonic()

    def over(self):
        return (self.frames and self.sent >= self.frames) or (
            self.seconds and time.monotonic() - self.start >= self.seconds
        )


def send_frame(connection, stream, budget):
    """Takes the frame out of stream, and leaves it empty."""
    connection.write(struct.pack("<L", stream.tell()))
    connection.flush()
    stream.seek(0)
    connection.write(stream.read())
    stream.seek(0)
    stream.truncate()
    budget.sent += 1


def streams(connection, budget):
    """The outputs of a sequence: each is sent when the camera asks for the next."""
    stream = io.BytesIO()
    while not budget.over():
        yield stream
        send_frame(connection, stream, budget)


def capture(camera, connection, args, budget):
    use_video_port = bool(args.videoport)
    if args.continuous:
        stream = io.BytesIO()
        for _ in camera.capture_continuous(stream, args.img_format, use_video_port=use_video_port):
            send_frame(connection, stream, budget)
            if budget.over():
                break
        return
    camera.capture_sequence(streams(connection, budget), args.img_format, use_video_port=use_video_port)


def main(argv=None):
    args = parse(argv)
    address = args.address or "192.168.0.%d" % args.ip_last_number
    sock = socket.create_connection((address, args.port))
    connection = sock.makefile("wb")
    budget = Budget(args.frames, args.seconds)
    failed = None
    try:
        with picamera.PiCamera((args.img_width, args.img_height), args.framerate) as camera:
            camera.start_preview()
            time.sleep(args.warmup)
            budget.start = time.monotonic()
            if args.misbehave:
                budget.frames = args.after
                if budget.frames:
                    capture(camera, connection, args, budget)
                connection.flush()
                misbehave.CLIENT[args.misbehave](sock)
                return 0
            capture(camera, connection, args, budget)
        connection.write(struct.pack("<L", 0))
        connection.flush()
    except (BrokenPipeError, ConnectionResetError) as e:
        failed = e
    finally:
        try:
            connection.close()
        except OSError:
            pass
        sock.close()
    if not args.quiet:
        took = time.monotonic() - budget.start
        print("%d frames in %.2f s%s" % (budget.sent, took, "; then: %s" % failed if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.exit(main())
