"""What a frame is, whichever way it came."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import numpy


class FramepipeError(Exception):
    """The other side cannot be reached, refused, or broke its protocol."""


@dataclass(frozen=True)
class Frame:
    """A picture and what is known of its way. Times are nanoseconds of this machine's
    time.monotonic_ns() unless said otherwise; None is unknown."""

    camera: str
    data: bytes
    """A JPEG if format is "JPEG", else planes of raw samples, one behind the other."""
    format: str
    """A FourCC: JPEG, YU12 (I420), RGB3 (RGB24), GREY, NV12, YUYV, …"""
    width: Optional[int] = None
    height: Optional[int] = None
    stride: int = 0
    """Bytes from one row of the first plane to the next; 0 for JPEG."""
    seq: Optional[int] = None
    """The camera's number of the frame: gaps are frames that were lost before."""
    captured: Optional[int] = None
    """When it was captured."""
    error: Optional[int] = None
    """The bound of the clocks' error in captured: the truth is within captured ± error."""
    arrived: int = 0
    """When the last byte of it was here."""
    taken: Optional[float] = None
    """When it was captured, as Unix time in seconds, of who sent it (X-Timestamp)."""
    skipped: int = 0
    """Frames that were passed over since the one before, because this one is newer."""

    @property
    def latency(self) -> Optional[float]:
        """Seconds from capture to arrival; None if the capture is unknown."""
        return None if self.captured is None else (self.arrived - self.captured) / 1e9

    @property
    def age(self) -> Optional[float]:
        """Seconds from capture to now."""
        return None if self.captured is None else (time.monotonic_ns() - self.captured) / 1e9

    def array(self) -> "numpy.ndarray[Any, Any]":
        """The picture's samples as an array that shares their memory, without a copy:
        for RGB3 and BGR3 of height x width x 3, for GREY of height x width, for YU12
        and NV12 of height*3/2 x width (what OpenCV's conversions take); for a JPEG
        its bytes, for cv2.imdecode. Needs numpy."""
        import numpy as np

        flat = np.frombuffer(self.data, np.uint8)
        if self.format == "JPEG":
            return flat
        if not self.width or not self.height:
            raise FramepipeError("the size of this frame is unknown")
        w, h = self.width, self.height
        if self.format in ("RGB3", "BGR3"):
            return flat[: self.stride * h].reshape(h, self.stride)[:, : 3 * w].reshape(h, w, 3)
        if self.format == "GREY":
            return flat[: self.stride * h].reshape(h, self.stride)[:, :w]
        if self.format in ("YU12", "NV12") and self.stride == w and not h % 2 and not w % 2:
            return flat[: h * 3 // 2 * w].reshape(h * 3 // 2, w)
        raise FramepipeError("no array is made of %s, %dx%d, stride %d" % (self.format, w, h, self.stride))
