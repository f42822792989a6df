"""TLS for the listener: certificates of both sides, TLS 1.3, as the receiver has it."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from typing import Any, Optional

from .frame import FramepipeError

ALPN = "framepipe/1"


def server_context(cert: str, key: str, client_ca: Optional[str] = None) -> ssl.SSLContext:
    """What Listener(context=…) needs: files (PEM) of this program's certificate with
    its chain, of its key, and, so that not everybody may send, of who vouches for the
    cameras' certificates. `framepipe send --tls-ca CA --tls-cert CERT --tls-key KEY`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols([ALPN])
    setattr(context, "num_tickets", 0)  # since 3.8; older type checkers do not know of it
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Socket:
    """A TLS connection that one thread reads while others write: OpenSSL's
    connections are not made for that, so each call of it is made under a lock, and
    waiting is done outside."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, timeout: float) -> None:
        sock.settimeout(timeout)
        self._sock = context.wrap_socket(sock, server_side=True)
        if self._sock.selected_alpn_protocol() != ALPN:
            raise FramepipeError("the other side does not speak wire v1")
        self._timeout = timeout
        self._lock = threading.Lock()
        self._sock.settimeout(0)

    def settimeout(self, timeout: float) -> None:
        self._timeout = timeout

    def setsockopt(self, *args: Any) -> None:
        self._sock.setsockopt(*args)

    def recv(self, size: int) -> bytes:
        return bytes(self._do(lambda: self._sock.recv(size)))

    def sendall(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._do(lambda: self._sock.send(left)) :]

    def shutdown(self, how: int) -> None:
        with self._lock:
            self._sock.shutdown(how)

    def close(self) -> None:
        with self._lock:
            self._sock.close()

    def _do(self, call: Any) -> Any:
        deadline = time.monotonic() + self._timeout
        while True:
            read = True
            with self._lock:
                try:
                    return call()
                except (ssl.SSLWantReadError, BlockingIOError):
                    pass
                except ssl.SSLWantWriteError:
                    read = False
                fd = self._sock.fileno()
            left = deadline - time.monotonic()
            if left <= 0 or fd < 0:
                raise socket.timeout("timed out")
            select.select([fd] if read else [], [] if read else [fd], [], left)
