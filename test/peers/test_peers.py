"""The peers' own tests: against each other, and against the formats' rules."""

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import misbehave  # noqa: E402
import picamera  # noqa: E402
import tinyjpeg  # noqa: E402


def run_pair(client=(), server=(), env=None):
    """Runs both scripts on a free loopback port. Returns the server's JSON, and
    the client's exit status and output."""
    env = dict(os.environ, PICAMERA_PACE="0", **(env or {}))
    srv = subprocess.Popen(
        [sys.executable, os.path.join(HERE, "v0_server.py"), "--address", "127.0.0.1", "--port", "0", "--json", *server],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    try:
        port = srv.stdout.readline().rsplit(":", 1)[1].strip()
        cli = subprocess.run(
            [sys.executable, os.path.join(HERE, "v0_client.py"), "--address", "127.0.0.1", "--port", port, "--warmup", "0", *client],
            capture_output=True,
            text=True,
            env=env,
            timeout=60,
        )
        out, _ = srv.communicate(timeout=60)
    finally:
        if srv.poll() is None:
            srv.kill()
            srv.communicate()
    return json.loads(out.strip().splitlines()[-1]), cli.returncode, cli.stdout + cli.stderr


class Formats(unittest.TestCase):
    def test_jpeg_header(self):
        for w, h in ((320, 240), (330, 250), (8, 8), (1, 1)):
            blocks = ((w + 7) // 8) * ((h + 7) // 8)
            data = tinyjpeg.encode(w, h, [128] * blocks)
            self.assertEqual(tinyjpeg.dimensions(data), (w, h))
            self.assertTrue(data.endswith(b"\xff\xd9"))

    def test_jpeg_fills_to_size(self):
        for size in (5000, 67621, 200000):
            data = picamera.jpeg_frame(320, 240, 3, size)
            self.assertLessEqual(size - len(data), 3)
            self.assertEqual(tinyjpeg.dimensions(data), (320, 240))

    @unittest.skipUnless(shutil.which("ffmpeg"), "needs ffmpeg")
    def test_jpeg_decodes(self):
        """Another program's decoder sees the frame number and the grey levels."""
        data = picamera.jpeg_frame(320, 240, 0xA5C3, 20000)
        grey = subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "mjpeg", "-i", "-", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
            input=data,
            capture_output=True,
            check=True,
        ).stdout
        self.assertEqual(len(grey), 320 * 240)
        bits = [grey[4 * 320 + 8 * i + 4] for i in range(16)]
        self.assertEqual(sum((b > 128) << (15 - i) for i, b in enumerate(bits)), 0xA5C3)

    def test_not_a_jpeg(self):
        for data in (b"", b"\xff\xd8", b"GIF89a", b"\xff\xd8\xff\xd9", b"\xff\xd8abcdefghijk"):
            with self.assertRaises(ValueError):
                tinyjpeg.dimensions(data)

    def test_raw_padding(self):
        yuv = picamera.yuv_frame(330, 250, 2)
        self.assertEqual(len(yuv), 352 * 256 * 3 // 2)
        self.assertEqual(yuv[0], 10)
        self.assertEqual(yuv[352 + 1], 1 + 3 + 10)
        self.assertEqual(yuv[330], picamera.PADDING)
        self.assertEqual(yuv[352 * 256], 130)
        rgb = picamera.rgb_frame(330, 250, 0)
        self.assertEqual(len(rgb), 352 * 256 * 3)
        self.assertEqual(tuple(rgb[3:6]), (1, 86, 171))
        self.assertEqual(len(picamera.yuv_frame(320, 240, 0)), 115200)
        self.assertEqual(len(picamera.rgb_frame(320, 240, 0)), 230400)


class Pair(unittest.TestCase):
    def test_formats_and_modes(self):
        sizes = {"yuv": 352 * 256 * 3 // 2, "rgb": 352 * 256 * 3}
        for fmt in ("jpeg", "yuv", "rgb"):
            for mode in ("-seq", "-cont"):
                with self.subTest(fmt=fmt, mode=mode):
                    got, status, _ = run_pair(
                        ["-W", "330", "-H", "250", "-format", fmt, mode, "--frames", "5"],
                        ["-W", "330", "-H", "250", "-format", fmt],
                    )
                    self.assertEqual((got["frames"], got["end"], got["bad"], status), (5, "zero length", [], 0))
                    if fmt in sizes:
                        self.assertEqual(got["bytes"], 5 * sizes[fmt])

    def test_frames_from_a_folder(self):
        with tempfile.TemporaryDirectory() as d:
            for n in range(3):
                with open(os.path.join(d, "%d.jpg" % n), "wb") as f:
                    f.write(picamera.jpeg_frame(64, 48, n, 10000))
            got, status, _ = run_pair(["--frames", "6"], env={"PICAMERA_FRAMES": d})
            self.assertEqual((got["frames"], got["size"], status), (6, [64, 48], 0))

    def test_server_ends_after_its_last_record(self):
        with tempfile.TemporaryDirectory() as d:
            summary = os.path.join(d, "summary.txt")
            got, status, text = run_pair([], ["--records", "2", "--record-length", "0.3", "--summary", summary])
            self.assertEqual((got["records"], got["end"], status), (2, "last record", 1), text)
            with open(summary) as f:
                lines = f.read().splitlines()
            self.assertEqual(lines[0], "nbr_images, elapsed(sec), avg_img_size")
            self.assertEqual(len(lines), 3)

    def test_client_misbehaves(self):
        for what, frames, end in (
            ("vanish", 2, "broken off"),
            ("vanish-in-length", 2, "broken off"),
            ("reset", 2, ("broken off", "failed")),
            ("end-at-once", 2, "zero length"),
            ("sizes", 8, "zero length"),
            ("no-jpeg", 3, "zero length"),
            ("bomb", 3, "zero length"),
        ):
            with self.subTest(what):
                got, _, _ = run_pair(["--misbehave", what, "--after", "2"])
                self.assertEqual(got["frames"], frames)
                self.assertTrue(got["end"].startswith(end), got["end"])

    def test_server_misbehaves(self):
        for what in ("hang-up", "vanish"):
            with self.subTest(what):
                got, status, text = run_pair(["--frames", "20000"], ["--misbehave", what, "--after", "1"])
                self.assertEqual((got["end"], status), ("misbehaved", 1), text)


class Buffering(unittest.TestCase):
    def test_small_frames_wait_for_the_next_length(self):
        """Up to 8192 bytes stay in the client's buffer until the next length."""
        import io

        import v0_client

        for size, waits in ((1, True), (8192, True), (8193, False)):
            with self.subTest(size):
                a, b = socket.socketpair()
                with a, b:
                    b.settimeout(5)
                    connection = a.makefile("wb")
                    stream = io.BytesIO()
                    stream.write(bytes(size))
                    v0_client.send_frame(connection, stream, v0_client.Budget(1, 0))
                    self.assertEqual(b.recv(4), struct.pack("<L", size))
                    b.settimeout(0.05)
                    try:
                        arrived = len(b.recv(65536))
                    except socket.timeout:
                        arrived = 0
                    self.assertEqual(arrived == 0, waits)
                    connection.close()


class Misbehaviour(unittest.TestCase):
    def test_bounded(self):
        """The endless ones end when the other side closes."""
        for name in ("huge", "garbage", "just-too-long", "silent"):
            with self.subTest(name):
                a, b = socket.socketpair()
                done = threading.Thread(target=misbehave.CLIENT[name], args=(a,), daemon=True)
                done.start()
                time.sleep(0.05)
                b.close()
                done.join(5)
                self.assertFalse(done.is_alive())
                a.close()


if __name__ == "__main__":
    unittest.main()
