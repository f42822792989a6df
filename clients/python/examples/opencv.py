"""OpenCV on a framepipe receiver's camera: python3 opencv.py http://127.0.0.1:8080 [FRAMES]"""

import sys

import cv2
import framepipe

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
last = int(sys.argv[2]) if len(sys.argv) > 2 else 0
for n, frame in enumerate(framepipe.frames(url), 1):
    picture = cv2.imdecode(frame.array(), cv2.IMREAD_COLOR)
    edges = cv2.Canny(picture, 100, 200)
    height, width = edges.shape
    late = "unknown" if frame.latency is None else "%.1f ms" % (1e3 * frame.latency)
    print("frame %s, %dx%d, %d edge pixels, %s after its capture, %d passed over"
          % (frame.seq, width, height, cv2.countNonZero(edges), late, frame.skipped), flush=True)
    if n == last:
        break
