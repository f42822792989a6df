"""wire v1 in Python: the shared vectors, and the two programs with each other."""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import v1  # noqa: E402
import v1wire  # noqa: E402

VECTORS = os.path.join(HERE, "..", "..", "wire", "testdata", "v1.json")


class Vectors(unittest.TestCase):
    def setUp(self):
        with open(VECTORS) as f:
            self.vectors = json.load(f)
        self.assertGreaterEqual(len(self.vectors), 20)

    def expected(self, vector):
        fields = dict(vector.get("fields", {}))
        if "session" in fields:
            fields["session"] = int(fields["session"], 16)
        return fields

    def test_read(self):
        for vector in self.vectors:
            with self.subTest(vector["name"]):
                data = bytes.fromhex(vector["hex"])
                if "error" in vector:
                    with self.assertRaises(v1wire.ProtocolError) as caught:
                        kind, h, p = v1wire.prefix(data)
                        v1wire.parse(v1wire.NAMES[kind], data[8 : 8 + h])
                    self.assertEqual(caught.exception.code, vector["error"])
                    continue
                kind, h, p = v1wire.prefix(data)
                self.assertEqual(8 + h + p, len(data))
                if "payload" in vector:
                    self.assertEqual(data[8 + h :], vector["payload"].encode())
                name = v1wire.NAMES.get(kind)
                if name is None:
                    self.assertEqual(vector["type"], "type %d" % kind)
                    continue
                self.assertEqual(name, vector["type"])
                self.assertEqual(v1wire.parse(name, data[8 : 8 + h]), self.expected(vector))

    def test_write(self):
        """What this program writes is the vector, byte for byte, unless the
        vector shows something that only later versions write."""
        written = 0
        for vector in self.vectors:
            data = bytes.fromhex(vector["hex"])
            if "error" in vector or "that we do not know" in vector["name"] or "past those known" in vector["name"] or vector["type"] not in v1wire.TYPES:
                continue
            with self.subTest(vector["name"]):
                _, h, _ = v1wire.prefix(data)
                self.assertEqual(v1wire.build(vector["type"], self.expected(vector), data[8 + h :]), data)
                written += 1
        self.assertGreaterEqual(written, 11)

    def test_every_header_cut_short(self):
        """A header with one byte less than its fields need is an error."""
        for vector in self.vectors:
            if "error" in vector or vector["type"] not in v1wire.TYPES or "past those known" in vector["name"]:
                continue
            data = bytes.fromhex(vector["hex"])
            _, h, _ = v1wire.prefix(data)
            for n in range(h):
                with self.assertRaises(v1wire.ProtocolError, msg="%s cut to %d" % (vector["name"], n)):
                    v1wire.parse(vector["type"], data[8 : 8 + n])


def run_pair(send=(), receive=()):
    rcv = subprocess.Popen([sys.executable, os.path.join(HERE, "v1.py"), "receive", "--port", "0", "--json", *receive], stdout=subprocess.PIPE, text=True)
    try:
        port = rcv.stdout.readline().rsplit(":", 1)[1].strip()
        snd = subprocess.run(
            [sys.executable, os.path.join(HERE, "v1.py"), "send", "--port", port, "--fps", "200", "--json", *send], capture_output=True, text=True, timeout=60
        )
        out, _ = rcv.communicate(timeout=60)
    finally:
        if rcv.poll() is None:
            rcv.kill()
            rcv.communicate()
    if snd.returncode:
        raise AssertionError(snd.stderr)
    return json.loads(snd.stdout), json.loads(out.strip().splitlines()[-1])


class Pair(unittest.TestCase):
    def test_formats(self):
        for fmt, size in (("jpeg", None), ("yuv", 330 * 250 * 3 // 2), ("rgb", 330 * 250 * 3)):
            with self.subTest(fmt):
                s, r = run_pair(["--format", fmt, "-W", "330", "-H", "250", "--frames", "10"])
                self.assertEqual((s["sent"], s["acks"], s["end"]), (10, 10, "bye"))
                self.assertEqual((r["frames"], r["unbalanced"], r["end"], r["size"]), (10, 0, "bye", [330, 250]))
                if size:
                    self.assertEqual(r["bytes"], 10 * size)

    def test_losses_and_later_versions(self):
        s, r = run_pair(["--frames", "20", "--skip", "5", "--future"], ["--future"])
        self.assertEqual((s["sent"], r["frames"], r["counts"]["offered"], r["counts"]["lost"][0]), (16, 16, 20, 4))
        self.assertEqual(r["unbalanced"], 0)
        self.assertGreater(r["skipped"], 16)

    def test_clock(self):
        _, r = run_pair(["--frames", "5", "--clock-offset-ms", "-7200000"])
        self.assertLessEqual(abs(r["offset_ns"] + 7_200_000_000_000), r["error_ns"])

    def test_control_and_refusal(self):
        s, r = run_pair(["--frames", "20"], ["--control", '{"quality": 60}'])
        self.assertEqual(s["controls"], [{"quality": 60}])
        self.assertEqual((r["states"][0][0], r["states"][0][1]["quality"]), (4711, 60))
        s, _ = run_pair(["--token", "wrong"], ["--token", "right"])
        self.assertEqual((s["end"], s["sent"], s["byes"][0][0]), ("refused", 0, 2))

    def test_session_goes_on(self):
        with tempfile.TemporaryDirectory() as d:
            s, r = run_pair(["--frames", "5", "--connections", "3"], ["--connections", "3", "--dump", d])
            self.assertEqual([w["last_seq"] for w in s["welcomes"]], [0, 5, 10])
            self.assertEqual((r["frames"], r["old"], len(os.listdir(d))), (15, 0, 15))

    def test_receiver_says_bye(self):
        s, r = run_pair(["--frames", "1000"], ["--frames", "7"])
        self.assertEqual(s["end"], "bye from the receiver")
        self.assertEqual(s["byes"][0][0], 1)
        self.assertGreaterEqual(r["frames"], 7)


class Reading(unittest.TestCase):
    def test_limits(self):
        for data in (struct.pack("<BxHI", 5, 4097, 0), struct.pack("<BxHI", 7, 8, (256 << 10) + 1), struct.pack("<BxHI", 3, 80, (32 << 20) + 1)):
            with self.assertRaises(v1wire.ProtocolError):
                v1wire.prefix(data)
        v1wire.prefix(struct.pack("<BxHI", 3, 4096, 32 << 20))

    def test_clock_drifts(self):
        clock = v1.Clock(1000, 0)
        a, b = clock.now(), v1.time.monotonic_ns()
        self.assertLess(abs(a - b - 1_000_000_000), 500_000_000)


if __name__ == "__main__":
    unittest.main()
