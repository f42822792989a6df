// Live draws a camera's newest frame: WebSocket -> ImageDecoder -> canvas. The
// receiver sends the next frame when one was acknowledged, and two may be on
// their way, so that nothing piles up however slow the link or this page is. The
// messages are described in docs/page.md.

const VERSION = 1;
const HEADER = 80;
const FRAME = 1, PING = 2; // from the receiver
const ACK = 1, PONG = 2, LOOK = 3, CLOCK = 4; // to it
const SHOWN = 0, OVERTAKEN = 1, FAILED = 2;

// now is this page's monotonic clock in milliseconds.
const now = () => performance.timeOrigin + performance.now();

// resolution finds the step of the clock: browsers coarsen it.
function resolution() {
  let step = 100, changes = 0, last = performance.now();
  for (let i = 0; i < 200_000 && changes < 5; i++) {
    const t = performance.now();
    if (t > last) {
      step = Math.min(step, t - last);
      last = t;
      changes++;
    }
  }
  return Math.max(step, 0.001);
}
const step = resolution();

const ns = (t) => BigInt(Math.round(t * 1000)) * 1000n;

function message(kind, flag = 0, id = 0, a = 0n, b = 0n) {
  const v = new DataView(new ArrayBuffer(24));
  v.setUint8(0, VERSION);
  v.setUint8(1, kind);
  v.setUint8(2, flag);
  v.setUint32(4, id, true);
  v.setBigUint64(8, a, true);
  v.setBigUint64(16, b, true);
  return v.buffer;
}

// decode makes a picture of a JPEG. ImageDecoder is there in secure contexts
// only (https, localhost) and takes about half the time.
async function decode(data) {
  if (!("ImageDecoder" in window)) return createImageBitmap(new Blob([data], { type: "image/jpeg" }));
  const decoder = new ImageDecoder({ data, type: "image/jpeg" });
  try {
    return (await decoder.decode()).image;
  } finally {
    decoder.close();
  }
}

export class Live {
  // on has frame(info), viewer(state), link(up), all optional.
  constructor(path, canvas, on = {}) {
    this.url = new URL(path + "/ws", location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.url.hash = "";
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { desynchronized: true, alpha: false });
    this.on = on;
    this.turn = 0;
    this.wanted = true; // by the page: in view, and not frozen
    this.wait = 250;
    this.visibility = () => this.look();
    document.addEventListener("visibilitychange", this.visibility);
    this.connect();
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.visibility);
    clearTimeout(this.timer);
    this.socket?.close();
  }

  connect() {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.waiting = this.drawn = undefined;
    this.viewer = undefined;
    this.told = true; // a new connection sends at once
    socket.onopen = () => {
      this.wait = 250;
      socket.send(message(CLOCK, 0, 0, ns(step)));
      this.look();
      this.on.link?.(true);
    };
    socket.onmessage = (e) => this.receive(socket, e.data);
    socket.onclose = () => {
      if (this.closed || socket !== this.socket) return;
      this.on.link?.(false);
      this.timer = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(this.wait * 1.6, 3000);
    };
  }

  // retry connects at once instead of waiting.
  retry() {
    if (this.closed || this.socket.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.timer);
    this.connect();
  }

  want(on) {
    this.wanted = on;
    this.look();
  }

  // look tells the receiver whether anybody looks. In a hidden tab no animation
  // frames come, so nothing could be drawn and acknowledged as displayed.
  look() {
    const on = this.wanted && !document.hidden;
    if (on === this.told || this.socket.readyState !== WebSocket.OPEN) return;
    this.told = on;
    if (!on) {
      for (const f of [this.waiting, this.drawn]) if (f) this.ack(f, OVERTAKEN);
      this.waiting = this.drawn = undefined;
    }
    this.socket.send(message(LOOK, on ? 1 : 0));
  }

  ack(f, result, displayed = 0) {
    if (f.socket.readyState !== WebSocket.OPEN) return;
    f.socket.send(message(ACK, result, f.number, ns(f.drawn ?? 0), ns(displayed)));
  }

  receive(socket, data) {
    const arrived = now();
    if (socket !== this.socket) return;
    if (typeof data === "string") {
      const m = JSON.parse(data);
      if (m.version) this.viewer = m.viewer;
      else this.on.viewer?.(m);
      return;
    }
    const v = new DataView(data);
    if (v.getUint8(0) !== VERSION) return;
    if (v.getUint8(1) === PING) {
      socket.send(message(PONG, 0, v.getUint32(4, true), ns(arrived), ns(now())));
      return;
    }
    if (v.getUint8(1) !== FRAME || data.byteLength < HEADER) return;
    const f = {
      socket, arrived,
      number: v.getUint32(4, true),
      seq: Number(v.getBigUint64(8, true)),
      dropped: Number(v.getBigUint64(64, true)),
      data: new Uint8Array(data, v.getUint16(2, true)),
    };
    if (!this.told) {
      this.ack(f, OVERTAKEN);
      return;
    }
    if (this.waiting) this.ack(this.waiting, OVERTAKEN);
    this.waiting = f;
    if (!this.decoding) this.drain();
  }

  // drain decodes and draws until nothing waits, the newest first.
  async drain() {
    this.decoding = true;
    while (this.waiting) {
      const f = this.waiting;
      this.waiting = undefined;
      let picture;
      try {
        picture = await decode(f.data);
      } catch (e) {
        this.ack(f, FAILED);
        this.on.frame?.({ failed: e });
        continue;
      }
      f.data = undefined;
      if (f.socket === this.socket && this.told) this.draw(f, picture);
      else this.ack(f, OVERTAKEN);
      picture.close();
    }
    this.decoding = false;
  }

  draw(f, picture) {
    const w = picture.displayWidth ?? picture.width, h = picture.displayHeight ?? picture.height;
    this.paint(picture, w, h, this.turn);
    f.drawn = now();
    if (this.drawn) this.ack(this.drawn, OVERTAKEN);
    else requestAnimationFrame(() => this.displayed());
    this.drawn = f;
    this.seq = f.seq;
    this.at = performance.now();
    this.on.frame?.({ width: w, height: h, seq: f.seq, dropped: f.dropped });
  }

  // displayed runs in the first animation frame after drawing: the browser is
  // about to hand the canvas over. The screen shows it some milliseconds later.
  displayed() {
    const f = this.drawn;
    this.drawn = undefined;
    if (f) this.ack(f, SHOWN, now());
  }

  paint(picture, w, h, turn) {
    const [cw, ch] = turn % 180 ? [h, w] : [w, h];
    const c = this.canvas;
    if (c.width !== cw || c.height !== ch) {
      c.width = cw;
      c.height = ch;
    }
    if (turn === 0) {
      this.context.drawImage(picture, 0, 0);
      return;
    }
    this.context.save();
    this.context.translate(cw / 2, ch / 2);
    this.context.rotate((turn * Math.PI) / 180);
    this.context.drawImage(picture, -w / 2, -h / 2);
    this.context.restore();
  }

  // rotate turns the picture by 90 degrees, and what is there already too: a
  // frozen picture gets no other frame.
  rotate() {
    this.turn = (this.turn + 90) % 360;
    const { width, height } = this.canvas;
    const copy = Object.assign(document.createElement("canvas"), { width, height });
    copy.getContext("2d").drawImage(this.canvas, 0, 0);
    this.paint(copy, width, height, 90);
  }
}
