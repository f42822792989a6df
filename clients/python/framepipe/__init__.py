"""Camera frames with their stamps, in Python.

    import framepipe

    for frame in framepipe.frames("http://127.0.0.1:8080"):   # from framepipe receive
        ...
    for frame in framepipe.listen():                          # from framepipe send, directly
        ...
    for frame in framepipe.mjpeg("http://camera/stream"):     # from any MJPEG server
        ...

Each is the newest frame there is: what came while the last one was being looked at is
passed over and counted. Only the standard library is needed; Frame.array needs numpy.
"""

from .frame import Frame, FramepipeError
from .http import frames, mjpeg
from .receiver import Listener, listen
from .tls import server_context

__all__ = ["Frame", "FramepipeError", "Listener", "frames", "listen", "mjpeg", "server_context"]
__version__ = "0.1.0"
