"""Cameras send here directly, without a receiver: python3 direct.py [PORT [FRAMES]],
and at the camera: framepipe send --format yuv THIS-MACHINE"""

import sys
import time

import framepipe

port = int(sys.argv[1]) if len(sys.argv) > 1 else 1308
last = int(sys.argv[2]) if len(sys.argv) > 2 else 0
with framepipe.Listener("0.0.0.0" if port == 1308 else "127.0.0.1", port) as cameras:
    print("waiting on port %d" % cameras.port, flush=True)
    for n, frame in enumerate(cameras, 1):
        if n == 1:  # a setting, as the page would change it
            print("the camera does now:", cameras.control(frame.camera, fps=20)["fps"], flush=True)
        time.sleep(0.2)  # a slow model gets fresh frames, not all of them
        old = "unknown" if frame.latency is None or frame.error is None else "%.1f ms old ±%.2f" % (1e3 * frame.latency, frame.error / 1e6)
        print("%s frame %s %s %sx%s, %s, %d passed over" % (frame.camera, frame.seq, frame.format, frame.width, frame.height, old, frame.skipped), flush=True)
        if n == last:
            break
