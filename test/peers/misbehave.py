"""What a broken or hostile peer does to a socket. Each function is bounded in
time, so that a test never hangs on its own peer."""

import os
import socket
import struct
import time

import picamera
import tinyjpeg

PATIENCE = 30.0  # seconds after which every misbehaviour gives up


def _reset(sock):
    """Close with a RST: the peer sees "connection reset by peer"."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _wait_for_close(sock):
    """Hold the connection until the other side ends it, reading what it says."""
    sock.settimeout(PATIENCE)
    try:
        while sock.recv(65536):
            pass
    except OSError:
        pass


def _send_on(sock, chunk):
    """Send until the other side has had enough."""
    deadline = time.monotonic() + PATIENCE
    sock.settimeout(PATIENCE)
    try:
        while time.monotonic() < deadline:
            sock.sendall(chunk)
    except OSError:
        pass


def vanish(sock):
    """Half a frame, then an orderly close without the 0 length."""
    data = picamera.jpeg_frame(320, 240, 0, 60000)
    sock.sendall(struct.pack("<L", len(data)) + data[: len(data) // 2])


def reset(sock):
    """Half a frame, then a reset."""
    data = picamera.jpeg_frame(320, 240, 0, 60000)
    sock.sendall(struct.pack("<L", len(data)) + data[: len(data) // 2])
    _reset(sock)


def vanish_in_length(sock):
    """Two of the four bytes of a length, then an orderly close."""
    sock.sendall(b"\x10\x27")


def huge(sock):
    """The largest length there is, then bytes without end."""
    sock.sendall(struct.pack("<L", 0xFFFFFFFF))
    _send_on(sock, bytes(65536))


def just_too_long(sock):
    """A length of 32 MiB + 1, then bytes without end."""
    sock.sendall(struct.pack("<L", (32 << 20) + 1))
    _send_on(sock, bytes(65536))


def garbage(sock):
    """Random bytes where a length should be (the first of them large)."""
    sock.sendall(b"\xff\xfe\xfd\xfc")
    _send_on(sock, os.urandom(4096))


def no_jpeg(sock):
    """A frame that is no picture, then a good end."""
    sock.sendall(struct.pack("<L", 5000) + bytes(i % 251 for i in range(5000)))
    sock.sendall(struct.pack("<L", 0))


def bomb(sock):
    """A JPEG whose header claims 65535x65535 pixels, then a good end."""
    data = bytearray(picamera.jpeg_frame(320, 240, 0))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert tinyjpeg.dimensions(bytes(data)) == (65535, 65535)
    sock.sendall(struct.pack("<L", len(data)) + bytes(data) + struct.pack("<L", 0))
    _wait_for_close(sock)


def trickle(sock):
    """A good frame at one byte a second."""
    data = picamera.jpeg_frame(320, 240, 0)
    deadline = time.monotonic() + PATIENCE
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for b in struct.pack("<L", len(data)) + data:
            sock.sendall(bytes([b]))
            if time.monotonic() > deadline:
                break
            time.sleep(1)
    except OSError:
        pass


def silent(sock):
    """Nothing at all."""
    _wait_for_close(sock)


def end_at_once(sock):
    """The 0 length."""
    sock.sendall(struct.pack("<L", 0))
    _wait_for_close(sock)


def sizes(sock):
    """Frames of 1, 2, 8191, 8192, 8193 and 65536 bytes, each length in a write of
    its own, then a good end. Frame n consists of bytes n, n+1, n+2, … mod 256."""
    for n, size in enumerate((1, 2, 8191, 8192, 8193, 65536)):
        data = bytes((n + i) % 256 for i in range(size))
        sock.sendall(struct.pack("<L", size))
        sock.sendall(data)
    sock.sendall(struct.pack("<L", 0))
    _wait_for_close(sock)


CLIENT = {
    "vanish": vanish,
    "vanish-in-length": vanish_in_length,
    "reset": reset,
    "huge": huge,
    "just-too-long": just_too_long,
    "garbage": garbage,
    "no-jpeg": no_jpeg,
    "bomb": bomb,
    "trickle": trickle,
    "silent": silent,
    "end-at-once": end_at_once,
    "sizes": sizes,
}


def hang_up(sock):
    """Reset at once."""
    _reset(sock)


def deaf(sock):
    """Keep the connection and read nothing."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.1)
        try:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return
        except OSError:
            return


def sip(sock):
    """Read one byte a second."""
    deadline = time.monotonic() + PATIENCE
    sock.settimeout(PATIENCE)
    try:
        while time.monotonic() < deadline and sock.recv(1):
            time.sleep(1)
    except OSError:
        pass


def vanish_mid_frame(sock):
    """Read 10,000 bytes, then reset."""
    left = 10000
    sock.settimeout(PATIENCE)
    try:
        while left > 0:
            got = len(sock.recv(left))
            if not got:
                return
            left -= got
    except OSError:
        return
    _reset(sock)


def talk(sock):
    """Send garbage to a camera that expects no answer, and read on."""
    try:
        sock.sendall(os.urandom(1000))
    except OSError:
        return
    _wait_for_close(sock)


SERVER = {"hang-up": hang_up, "deaf": deaf, "sip": sip, "vanish": vanish_mid_frame, "talk": talk}
