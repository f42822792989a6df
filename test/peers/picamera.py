"""A stand-in for the picamera module: the few calls that a script makes which
captures single frames, with the properties of the real one that matter to
whoever is at the other end of the socket.

 - raw captures are padded to a width that is a multiple of 32 and a height that
   is a multiple of 16; the padding here is 0xEE, so that whoever shows it is
   found out
 - capture_sequence on the video port is pipelined at the frame rate;
   capture_continuous starts the encoder anew for every frame; the still port
   switches the sensor's mode for every frame

Environment:
   PICAMERA_PACE=0       do not wait at all between frames
   PICAMERA_FRAMES=DIR   jpeg captures are the files in DIR, in order, repeated
   PICAMERA_JPEG_SIZE=N  fill generated JPEGs up to N bytes

Frame n (from 0) of a raw capture has Y = (x + 3y + 5n) mod 256, U = (128 + n)
mod 256, V = (64 + n) mod 256, or R, G, B = Y, (Y + 85) mod 256, (Y + 170) mod
256. Frame n of a JPEG shows n in its first 16 blocks, white for a 1, most
significant bit first.
"""

import itertools
import os
import time

import tinyjpeg

PADDING = 0xEE
RESTART_SECONDS = 0.010  # starting and stopping the encoder for one frame
STILL_SECONDS = 0.45  # two changes of the sensor's mode


def padded(width, height):
    return (width + 31) // 32 * 32, (height + 15) // 16 * 16


_RAMP = bytes(range(256)) * 64


def luma_row(width, y, n):
    start = (3 * y + 5 * n) % 256
    return _RAMP[start : start + width]


def yuv_frame(width, height, n):
    pw, ph = padded(width, height)
    pad = bytes([PADDING])
    rows = [luma_row(width, y, n) + pad * (pw - width) for y in range(height)]
    rows.append(pad * (pw * (ph - height)))
    cw, ch = (width + 1) // 2, (height + 1) // 2
    for value in ((128 + n) % 256, (64 + n) % 256):
        row = bytes([value]) * cw + pad * (pw // 2 - cw)
        rows.append(row * ch + pad * (pw // 2 * (ph // 2 - ch)))
    return b"".join(rows)


def rgb_frame(width, height, n):
    pw, ph = padded(width, height)
    rows = []
    for y in range(height):
        luma = luma_row(width, y, n)
        row = bytearray([PADDING]) * (pw * 3)
        row[0 : width * 3 : 3] = luma
        row[1 : width * 3 : 3] = bytes((v + 85) % 256 for v in luma)
        row[2 : width * 3 : 3] = bytes((v + 170) % 256 for v in luma)
        rows.append(bytes(row))
    rows.append(bytes([PADDING]) * (pw * 3 * (ph - height)))
    return b"".join(rows)


def jpeg_frame(width, height, n, size=0):
    blocks = ((width + 7) // 8) * ((height + 7) // 8)
    levels = [235 if n >> (15 - i) & 1 else 16 for i in range(16)]
    levels += [(7 * i + n) % 220 + 18 for i in range(blocks)]
    return tinyjpeg.encode(width, height, levels[:blocks], size)


class PiCamera:
    def __init__(self, resolution=(320, 240), framerate=30):
        self.resolution = resolution
        self.framerate = framerate
        self.closed = False
        self._paced = os.environ.get("PICAMERA_PACE", "1") != "0"
        self._jpeg_size = int(os.environ.get("PICAMERA_JPEG_SIZE", "0"))
        self._files = None
        folder = os.environ.get("PICAMERA_FRAMES")
        if folder:
            names = sorted(n for n in os.listdir(folder) if n.lower().endswith((".jpg", ".jpeg")))
            if not names:
                raise FileNotFoundError("PICAMERA_FRAMES=%s: no .jpg files" % folder)
            self._files = []
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    self._files.append(f.read())
        self._n = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def start_preview(self):
        pass

    def stop_preview(self):
        pass

    def close(self):
        self.closed = True

    def _expose(self, fmt):
        width, height = self.resolution
        n, self._n = self._n, self._n + 1
        if fmt == "jpeg":
            if self._files:
                return self._files[n % len(self._files)]
            return jpeg_frame(width, height, n, self._jpeg_size)
        if fmt == "yuv":
            return yuv_frame(width, height, n)
        if fmt == "rgb":
            return rgb_frame(width, height, n)
        raise ValueError("format %r" % fmt)

    def _wait_until(self, when):
        if self._paced:
            time.sleep(max(0.0, when - time.monotonic()))

    def capture_sequence(self, outputs, format="jpeg", use_video_port=False):
        """Writes one frame into each of the outputs. The camera exposes at its
        own rate; frames that meet no output in time are missed."""
        start, interval = time.monotonic(), 1.0 / self.framerate
        for output in outputs:
            if use_video_port:
                ticks = int((time.monotonic() - start) / interval) + 1
                self._wait_until(start + ticks * interval)
            else:
                self._wait_until(time.monotonic() + STILL_SECONDS)
            output.write(self._expose(format))

    def capture_continuous(self, output, format=None, use_video_port=False):
        """Yields output once for each frame; the next exposure begins only when
        the caller comes back for it."""
        interval = 1.0 / self.framerate
        for _ in itertools.count():
            pause = RESTART_SECONDS + interval if use_video_port else STILL_SECONDS
            self._wait_until(time.monotonic() + pause)
            output.write(self._expose(format or "jpeg"))
            yield output
