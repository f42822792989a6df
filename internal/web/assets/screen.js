// Screen is a camera's picture with what is said in it: figures, and in plain
// words why there is no picture. One for each camera; it moves between the grid
// and the large view.

import { bound, count, element, kilo, ms, number, text } from "./dom.js";
import { sendCommand } from "./connect.js";
import { Live } from "./live.js";
import { lasted } from "./recorder.js";

export class Screen {
  constructor(name, path) {
    this.name = name;
    this.canvas = element("canvas", { width: 640, height: 480, role: "img", "aria-label": `live picture of camera ${name}` });
    this.title = element("span", { class: "hud-name" }, name);
    this.rate = element("span");
    this.latency = element("span", { title: "capture to screen, median of the last seconds, and the bound of the clocks' error" });
    this.age = element("span", { class: "wide" });
    this.size = element("span", { class: "wide" });
    this.lost = element("span", { class: "hud-lost" });
    this.rec = element("span", { class: "hud-rec" });
    this.hud = element("div", { class: "hud", "aria-hidden": "true" }, this.title, this.rate, this.latency, this.age, this.size, this.lost, this.rec);
    this.cause = element("p");
    this.hint = element("p", { class: "hint" });
    this.word = element("b");
    this.note = element("div", { class: "nosignal", hidden: true }, this.word, this.cause, this.hint);
    this.said = element("p", { class: "hide", role: "status" }); // what is wrong, once: the note counts seconds
    this.ice = element("span", { class: "frozen", hidden: true }, "FROZEN");
    this.box = element("div", { class: "picture" }, this.canvas, this.hud, this.ice, this.note);
    this.root = element("div", { class: "screen waiting" }, this.box, this.said);
    this.up = false;
    this.since = performance.now();
    this.inView = true;
    this.frozen = false;
    this.live = new Live(path, this.canvas, {
      frame: (f) => this.frame(f),
      viewer: (v) => {
        this.viewer = v;
      },
      link: (up) => {
        this.up = up;
        this.since = performance.now();
        this.refusal = "";
        if (!up) this.viewer = undefined;
      },
    });
    this.path = path;
    this.losses = new Rise();
    this.observer = new IntersectionObserver((entries) => {
      this.inView = entries.at(-1).isIntersecting;
      this.want();
    });
    this.observer.observe(this.box);
  }

  close() {
    this.observer.disconnect();
    this.live.close();
    this.root.remove();
  }

  want() {
    this.live.want(this.inView && !this.frozen);
  }

  freeze() {
    this.frozen = !this.frozen;
    this.ice.hidden = !this.frozen;
    this.want();
  }

  // picture is what stands on the screen, as a JPEG.
  picture() {
    return new Promise((done, failed) => this.canvas.toBlob((b) => (b ? done(b) : failed(new Error("there is no picture"))), "image/jpeg", 0.95));
  }

  rotate() {
    this.live.rotate();
    this.shape(this.canvas.width, this.canvas.height);
  }

  frame(f) {
    this.failed = f.failed;
    if (f.failed) return;
    this.root.classList.remove("waiting");
    this.shape(this.canvas.width, this.canvas.height);
  }

  // shape lets the picture take the picture's proportions, so that nothing of it is
  // covered or cut and the figures lie within.
  shape(w, h) {
    if (this.w === w && this.h === h) return;
    [this.w, this.h] = [w, h];
    this.root.style.setProperty("--w", w);
    this.root.style.setProperty("--h", h);
  }

  // update shows the receiver's word; status is undefined while it is gone.
  update(status) {
    const d = this.viewer, live = status?.live;
    const connected = status?.connected && !status.state.error;
    text(this.rate, connected ? `${number((d?.looking ? d.fps : undefined) ?? live.fps)} fps` : "");
    text(this.latency, connected && d?.latency ? `${ms(d.latency.p50_ms)}${bound(d.clock_error_ms)} ms` : "");
    text(this.age, connected && live.age_ms !== undefined ? `age ${ms(live.age_ms)} ms` : "");
    text(this.size, connected && live.frame_bytes ? `${live.width && live.height ? `${live.width}×${live.height} ` : ""}${kilo(live.frame_bytes)} kB` : "");
    const lost = live ? live.total_offered - live.total_delivered : 0;
    text(this.lost, lost > 0 ? `lost ${count(lost)}` : "");
    this.lost.classList.toggle("now", this.losses.see(lost));
    const r = status?.recording;
    text(this.rec, r?.recording ? (r.error ? "REC stopped" : `REC ${lasted(r)}`) : "");
    const [word, cause, hint] = this.trouble(status);
    this.note.hidden = !word;
    if (word !== this.worded) {
      if (word || this.worded) text(this.said, word ? `${this.name}: ${word.toLowerCase()}. ${hint ?? ""}` : `${this.name} is live again.`);
      this.worded = word;
    }
    this.box.classList.toggle("dark", Boolean(word));
    if (!word) return;
    text(this.word, word);
    text(this.cause, cause ?? "");
    text(this.hint, hint ?? "");
  }

  // trouble says what is wrong, why, and what to do; nothing if all is well.
  trouble(s) {
    if (!s) return ["NO CONNECTION", "The receiver does not answer.", "Is framepipe receive still running there? The page goes on by itself when it is back."];
    if (!s.connected) {
      return ["NO SIGNAL", s.cause ? `Camera not connected: ${s.cause}.` : "Camera not connected.",
        s.wire === "local" ? "framepipe devices lists the cameras of the receiver's machine." : `On the camera's machine: ${sendCommand()}`];
    }
    if (s.state.error) return ["NO SIGNAL", s.state.error, s.state.hint || "framepipe doctor, on the camera's machine, looks for the cause."];
    const age = s.live.age_ms;
    if (s.live.frames === 0) return ["NO SIGNAL", "Connected; no frame has come yet.", "A camera that warms up gives its first frame after some seconds."];
    if (s.live.fps === 0 && (age === undefined || age > 2000)) {
      return ["NO SIGNAL", `Connected, but no frame ${age === undefined ? "comes" : `for ${number(age / 1000, 0)} s`}.`,
        "The camera or the link stalls: framepipe doctor, on the camera's machine, looks for the cause."];
    }
    if (s.unreadable_frames && !this.w) return ["NO PICTURE", "The frames are neither JPEG nor raw of the expected size.", "Tell the receiver what they are: -W, -H and --format."];
    if (this.failed) return ["NO PICTURE", "This browser cannot decode the frames.", String(this.failed.message ?? this.failed)];
    if (!this.up && performance.now() - this.since > 2000) {
      this.ask();
      return ["NO PICTURE", "The receiver does not send frames to this page.", this.refusal || "Trying again."];
    }
    return [];
  }

  // ask finds out why there is no WebSocket, which does not tell.
  async ask() {
    if (this.asking) return;
    this.asking = true;
    try {
      const r = await fetch(`${this.path}/ws`, { signal: AbortSignal.timeout(5000) });
      if (r.status !== 426) this.refusal = (await r.text()).trim().slice(0, 300);
    } catch {
      // the page says so elsewhere
    }
    setTimeout(() => (this.asking = false), 5000);
  }
}

// Rise tells whether a count has grown within the last seconds: what was lost
// yesterday is no alarm.
export class Rise {
  see(n) {
    if (this.n !== undefined && n > this.n) this.at = performance.now();
    this.n = n;
    return this.at !== undefined && performance.now() - this.at < 10_000;
  }
}
