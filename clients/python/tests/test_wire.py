"""The wire against the vectors that all implementations read, and the clock."""

import json
import pathlib
import socket
import threading
import time
import unittest

import framepipe
from framepipe import wire

VECTORS = pathlib.Path(__file__).parents[3] / "wire" / "testdata" / "v1.json"


class Vectors(unittest.TestCase):
    def test_read(self):
        read = 0
        for v in json.loads(VECTORS.read_text()):
            a, b = socket.socketpair()
            with a, b:
                threading.Thread(target=a.sendall, args=(bytes.fromhex(v["hex"]),)).start()
                b.settimeout(5)
                try:
                    m = wire.Reader(b).message()
                except framepipe.FramepipeError as e:
                    self.assertEqual(v.get("error"), "too_large", (v["name"], e))
                    continue
                fields = v.get("fields") or {}
                parse = {"HELLO": wire.hello, "FRAME": wire.frame, "PONG": wire.pong}.get(v["type"])
                if parse is None:
                    continue
                if v.get("error"):
                    if v["error"] == "short" and len(m.header) < 24:
                        with self.assertRaises(framepipe.FramepipeError):
                            parse(m.header)
                    continue
                got = parse(m.header)._asdict()
                for k, want in fields.items():
                    if k in got:
                        self.assertEqual("%016x" % got[k] if k == "session" else got[k], want, (v["name"], k))
                        read += 1
        self.assertGreater(read, 15)

    def test_written(self):
        made = {
            "ACK": lambda f: wire.ack(f["seq"], f["first_byte"], f["last_byte"], f["received"], f["rest"]),
            "PING": lambda f: wire.ping(f["id"], f["t1"]),
        }
        count = 0
        for v in json.loads(VECTORS.read_text()):
            if v["type"] in made and not v.get("error") and len(v["hex"]) == 2 * len(made[v["type"]](v["fields"])):
                self.assertEqual(made[v["type"]](v["fields"]).hex(), v["hex"], v["name"])
                count += 1
        self.assertGreaterEqual(count, 2)


class Clocks(unittest.TestCase):
    def test_bound_holds(self):
        clock, offset = wire.Clock(), 5_000_000_000
        for i, (there, back) in enumerate([(300_000, 900_000), (50_000, 70_000), (2_000_000, 100_000)]):
            t1 = 1_000_000_000 * (i + 1)
            t2 = t1 + there + offset
            clock.add(wire.Pong(i, t1, t2, t2 + 10_000), t1 + there + 10_000 + back)
        got, error = clock.ours(4_000_000_000 + offset, 3_500_000_000)
        self.assertLessEqual(abs(got - 4_000_000_000), error)
        self.assertLess(error, 600_000)

    def test_unknown(self):
        self.assertEqual(wire.Clock().ours(5, 5), (None, None))


class Hostile(unittest.TestCase):
    """What is not wire v1 loses its connection, and nobody else's."""

    def test_garbage(self):
        with framepipe.Listener("127.0.0.1", 0) as l:
            for sent in (b"GET / HTTP/1.1\r\n\r\n", wire.PREAMBLE + b"\x01\x00\xff\xff\xff\xff\xff\xff", wire.PREAMBLE + wire.message(wire.HELLO, b"short"), wire.PREAMBLE + wire.ping(1, 1)):
                with socket.create_connection(("127.0.0.1", l.port), 5) as s:
                    s.sendall(sent)
                    s.settimeout(10)
                    while s.recv(4096):
                        pass
            self.assertEqual(l.cameras(), [])

    def test_close_while_nobody_speaks(self):
        l = framepipe.Listener("127.0.0.1", 0)
        ended = []
        t = threading.Thread(target=lambda: ended.extend(l.frames()))
        t.start()
        time.sleep(0.1)
        l.close()
        t.join(10)
        self.assertFalse(t.is_alive())
        self.assertEqual(ended, [])


class Arrays(unittest.TestCase):
    def test_shapes(self):
        try:
            import numpy
        except ImportError:
            self.skipTest("needs numpy")
        rgb = framepipe.Frame("c", bytes(range(48)) * 2, "RGB3", 4, 4, 24)
        self.assertEqual(rgb.array().shape, (4, 4, 3))
        self.assertEqual(rgb.array()[1, 0, 0], 24)
        self.assertEqual(framepipe.Frame("c", bytes(24), "YU12", 4, 4, 4).array().shape, (6, 4))
        self.assertEqual(framepipe.Frame("c", b"\xff\xd8", "JPEG").array().dtype, numpy.uint8)
        with self.assertRaises(framepipe.FramepipeError):
            framepipe.Frame("c", bytes(24), "YUYV", 4, 3, 8).array()


if __name__ == "__main__":
    unittest.main()
