"""The HTTP side against servers that are a few lines long: what is cut anywhere, what
other servers write, what is not a stream."""

import base64
import hashlib
import socket
import struct
import threading
import unittest

import framepipe
from framepipe.http import _FRAME, _say


def serve(answer):
    """A server for one connection; answer gets the request and the socket."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with listener, listener.accept()[0] as s:
            request = b""
            while b"\r\n\r\n" not in request:
                request += s.recv(65536)
            answer(request, s)

    t = threading.Thread(target=run)
    t.start()
    return "http://127.0.0.1:%d" % listener.getsockname()[1], t


class Multipart(unittest.TestCase):
    def check(self, body, kind="multipart/x-mixed-replace; boundary=abc", cut=None):
        def answer(_, s):
            whole = ("HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n" % kind).encode() + body
            for i in range(0, len(whole), cut or len(whole)):
                s.sendall(whole[i : i + (cut or len(whole))])

        url, t = serve(answer)
        try:
            return list(framepipe.mjpeg(url + "/stream"))
        finally:
            t.join()

    def test_parts(self):
        one = b"--abc\r\nContent-Type: image/jpeg\r\nContent-Length: 5\r\nX-Timestamp: 12.5\r\n\r\n\xff\xd8a\xff\xd9\r\n--abc--\r\n"
        for cut in (None, 1, 7):
            got = self.check(one, cut=cut)
            self.assertEqual([(f.data, f.taken) for f in got], [(b"\xff\xd8a\xff\xd9", 12.5)])

    def test_without_length(self):
        for end in (b"\r\n--abc--\r\n", b"\n--abc--\n"):
            got = self.check(b"--abc\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\n--ab\xff\xd9" + end)
            self.assertEqual([f.data for f in got], [b"\xff\xd8\n--ab\xff\xd9"])

    def test_newest_first(self):
        part = b"--abc\r\nContent-Length: 2\r\n\r\n%s\r\n"
        got = self.check(part % b"11" + part % b"22" + part % b"33" + b"--abc--\r\n")
        self.assertEqual(got[-1].data, b"33")
        self.assertEqual(sum(1 + f.skipped for f in got), 3)

    def test_boundary_spelt_with_dashes_and_quotes(self):
        part = b"--abc\r\nContent-Length: 2\r\n\r\n11\r\n--abc--\r\n"
        for kind in ('multipart/x-mixed-replace;boundary="abc"', "multipart/x-mixed-replace; boundary=--abc"):
            self.assertEqual([f.data for f in self.check(part, kind)], [b"11"])

    def test_no_stream(self):
        with self.assertRaisesRegex(framepipe.FramepipeError, "no MJPEG stream"):
            self.check(b"hello", "text/html")
        with self.assertRaisesRegex(framepipe.FramepipeError, "more than is allowed"):
            self.check(b"--abc\r\nContent-Length: 99999999999\r\n\r\n")
        with self.assertRaisesRegex(framepipe.FramepipeError, "no http address"):
            next(framepipe.mjpeg("rtsp://x"))


def ws_frame(payload, opcode=2, fin=True):
    n = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    head += bytes([n]) if n < 126 else bytes([126]) + struct.pack(">H", n) if n < 65536 else bytes([127]) + struct.pack(">Q", n)
    return head + payload


def ws_accept(request, s):
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")


def read_message(s):
    def take(n):
        b = b""
        while len(b) < n:
            part = s.recv(n - len(b))
            if not part:
                raise EOFError
            b += part
        return b

    a, b = take(2)
    mask = take(4)
    return a & 15, bytes(x ^ mask[i % 4] for i, x in enumerate(take(b & 127)))


def frame_message(number, seq, dropped, data):
    return _FRAME.pack(1, 1, 80, number, seq, 1000, 5, 2000, 3000, b"JPEG", 4, 2, 0, dropped, b"YU12") + data


class WebSocket(unittest.TestCase):
    def test_frames_pings_and_acknowledgements(self):
        heard = []

        def answer(request, s):
            self.assertIn(b"GET /cameras/door%201/ws HTTP/1.1", request)
            self.assertIn(b"Authorization: Bearer secret", request)
            ws_accept(request, s)
            s.sendall(ws_frame(b'{"version":1}', 1))
            s.sendall(ws_frame(struct.pack("<BBHI16x", 1, 2, 24, 77)))
            big = b"\xff\xd8" + bytes(70_000) + b"\xff\xd9"
            whole = frame_message(1, 10, 0, big)
            s.sendall(ws_frame(whole[:100], 2, False) + ws_frame(b"are you there", 9) + ws_frame(whole[100:], 0))
            for _ in range(4):  # clock, answers to the two pings, the acknowledgement
                heard.append(read_message(s))
            s.sendall(ws_frame(frame_message(2, 11, 0, b"old")) + ws_frame(frame_message(3, 15, 3, b"new")))
            for _ in range(2):
                heard.append(read_message(s))

        url, t = serve(answer)
        frames = framepipe.frames(url, "door 1", token="secret", reconnect=False)
        f = next(frames)
        self.assertEqual((f.camera, f.seq, f.width, f.height, f.captured, f.error, f.skipped), ("door 1", 10, 4, 2, 1000, 5, 0))
        self.assertEqual(len(f.data), 70_004)
        f = next(frames)
        got = [f]
        while got[-1].seq != 15:
            got.append(next(frames))
        self.assertEqual(sum(f.skipped for f in got) + len(got), 5)  # two here, three that the receiver dropped
        with self.assertRaises(framepipe.FramepipeError):
            next(frames)
        t.join()
        kinds = [m[1] for op, m in heard if op == 2]
        self.assertEqual(kinds[:3], [4, 2, 1])
        self.assertIn((10, b"are you there"), heard)
        pong = next(m for op, m in heard if op == 2 and m[1] == 2)
        self.assertEqual(struct.unpack_from("<I", pong, 4)[0], 77)

    def test_refused(self):
        def answer(_, s):
            s.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\nno camera; there is x\n")

        url, t = serve(answer)
        with self.assertRaisesRegex(framepipe.FramepipeError, "404: no camera; there is x"):
            next(framepipe.frames(url, "nosuch", reconnect=False))
        t.join()

    def test_not_a_websocket_server(self):
        def answer(_, s):
            s.sendall(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: no\r\n\r\n")

        url, t = serve(answer)
        with self.assertRaisesRegex(framepipe.FramepipeError, "no WebSocket server"):
            next(framepipe.frames(url, "x", reconnect=False))
        t.join()

    def test_messages_have_24_bytes(self):
        self.assertEqual(len(_say(1, 1, 2, 3, 4)), 24)


if __name__ == "__main__":
    unittest.main()
