// Detail is the large view of one camera: its picture, what was measured, and
// its settings.

import { bound, count, element, fine, icon, json, kilo, ms, number, text, words } from "./dom.js";
import { Charts } from "./charts.js";
import { Controls } from "./controls.js";
import { Recorder } from "./recorder.js";
import { Rise } from "./screen.js";

const stageOrder = ["driver", "encode", "queue", "network", "transfer", "deliver"];

export class Detail {
  constructor(camera) {
    this.camera = camera;
    this.screen = camera.screen;
    this.figures = new Map();
    this.lostRise = new Rise();
    this.freezeRise = new Rise();
    this.charts = new Charts(camera.path, () => this.screen.live.viewer);
    this.controls = new Controls(camera.path, () => this.charts.refresh());
    this.recorder = new Recorder(camera.name, camera.path, () => this.charts.refresh());
    this.sub = element("p", { class: "sub" });
    this.notes = element("ul", { class: "notes" });
    this.strip = element("dl", { class: "figures" });
    this.stages = element("tbody");
    this.losses = element("div", { class: "losses" });
    this.records = element("tbody");
    this.links = element("p", { class: "links" }, ...["stream", "snapshot", "state", "records", "history"].map((p) => element("a", { href: `${camera.path}/${p}` }, p)),
      element("a", { href: `glass?camera=${encodeURIComponent(camera.name)}`, title: "film this screen with the camera: latency from screen to delivery" }, "glass to glass"),
      element("a", { href: "#experiments", title: "which setting is best on this camera and link" }, "experiments"));
    const button = (name, label, key, act, toggles) => element("button", { class: "icon", title: `${label} (${key})`, "aria-label": label, "aria-pressed": toggles, onclick: act }, icon(name));
    this.iceButton = button("freeze", "freeze the picture", "Space", () => this.freeze(), "false");
    this.iceButton.classList.add("loud");
    this.hudButton = button("hud", "figures in the picture", "H", () => this.figuresInPicture(), String(!document.body.classList.contains("nohud")));
    this.fullButton = button("full", "full screen", "F", () => this.fullscreen(), "false");
    this.toolbar = element("div", { class: "toolbar", role: "group", "aria-label": "picture" },
      button("photo", "save a snapshot", "S", () => this.snapshot()),
      this.recorder.button,
      this.iceButton,
      button("rotate", "turn the picture by 90°", "R", () => this.rotate()),
      this.hudButton, this.fullButton);
    this.toast = element("p", { class: "toast", role: "status" });
    this.stage = element("div", { class: "stage" }, this.screen.root, this.toast);
    this.stage.addEventListener("dblclick", (e) => !e.target.closest("button") && this.fullscreen());
    for (const kind of ["pointermove", "pointerdown", "focusin"]) this.stage.addEventListener(kind, () => this.awake());
    this.under = element("div", { class: "under" }, element("div", { class: "who" }, element("h2", {}, camera.name), this.sub), this.toolbar);
    this.root = element("div", { class: "detail" },
      element("section", { class: "see", "aria-label": `camera ${camera.name}` },
        element("div", { class: "see-in" }, this.stage, this.strip, this.under)),
      element("aside", { class: "side" },
        card("Settings", this.controls.root, "settings"),
        card("Latency by stage, ms", table(["stage", "p50", "p90", "p99", "max"], this.stages, "Latency by stage, of the open record")),
        card("Losses", this.losses),
        this.recorder.card),
      element("section", { class: "more" },
        this.charts.root,
        card("Records", element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "records" },
          table(["record", "frames", "seconds", "mean bytes", "fps", "p50 ms", "p99 ms", "age p99 ms", "lost"], this.records, "Records"))),
        this.notes, this.links));
    this.onFull = () => this.filled(document.fullscreenElement === this.stage);
    document.addEventListener("fullscreenchange", this.onFull);
    this.loadRecords();
  }

  close() {
    this.closed = true;
    document.removeEventListener("fullscreenchange", this.onFull);
    clearTimeout(this.idle);
    clearTimeout(this.toasted);
    if (document.fullscreenElement) document.exitFullscreen();
    else this.leaveFull();
    this.charts.close();
    this.screen.root.remove(); // the camera keeps it, and it would keep all of this
    if (this.screen.frozen) this.freeze();
  }

  // restart forgets what another life of the receiver said.
  restart() {
    this.charts.clear();
    this.loadRecords();
  }

  recolour() {
    this.charts.redraw();
  }

  focusControls() {
    this.controls.focus();
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (this.leaveFull()) return;
    else if (this.stage.requestFullscreen) this.stage.requestFullscreen().catch(() => this.fill());
    else this.fill();
  }

  // fill lets the picture take the window, where the browser has no full screen for
  // it, as an iPhone's.
  fill() {
    if (!this.stage.showPopover) return;
    this.stage.popover = "manual";
    this.stage.showPopover();
    this.filled(true);
  }

  // leaveFull ends that, and tells whether there was anything to end.
  leaveFull() {
    if (!this.stage.popover) return false;
    this.stage.popover = null;
    this.filled(false);
    return true;
  }

  // filled moves the buttons into the picture and back: full screen, they would be
  // out of reach for who has no keyboard.
  filled(on) {
    this.stage.classList.toggle("full", on);
    (on ? this.stage : this.under).append(this.toolbar);
    this.fullButton.setAttribute("aria-pressed", on);
    this.awake();
  }

  // awake shows the buttons in the full picture for some seconds.
  awake() {
    clearTimeout(this.idle);
    this.stage.classList.remove("idle");
    this.idle = setTimeout(() => this.stage.classList.toggle("idle", !this.toolbar.matches(":focus-within:has(:focus-visible)")), 3000);
  }

  rotate() {
    this.screen.rotate();
  }

  freeze() {
    this.screen.freeze();
    const frozen = this.screen.frozen;
    this.iceButton.replaceChildren(icon(frozen ? "play" : "freeze"));
    this.iceButton.setAttribute("aria-pressed", frozen);
    this.iceButton.title = frozen ? "go on (Space)" : "freeze the picture (Space)";
  }

  figuresInPicture() {
    this.hudButton.setAttribute("aria-pressed", !document.body.classList.toggle("nohud"));
  }

  // snapshot saves a frame that is captured now, or, frozen, the picture that stands.
  async snapshot() {
    const name = this.camera.name;
    try {
      let picture, at = new Date();
      if (this.screen.frozen) picture = await this.screen.picture();
      else {
        const r = await fetch(`${this.camera.path}/snapshot`, { cache: "no-store", signal: AbortSignal.timeout(20_000) });
        if (!r.ok) throw new Error((await r.text()).trim() || r.statusText);
        at = new Date(1000 * (r.headers.get("X-Timestamp") ?? at / 1000));
        picture = await r.blob();
      }
      const part = (v) => String(v).padStart(2, "0");
      const file = `${name}-${at.getFullYear()}${part(at.getMonth() + 1)}${part(at.getDate())}-${part(at.getHours())}${part(at.getMinutes())}${part(at.getSeconds())}.jpg`;
      const url = URL.createObjectURL(picture);
      element("a", { href: url, download: file }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      this.say(`Saved as ${file}`);
    } catch (e) {
      this.say(`No snapshot: ${e.message}`, true);
    }
  }

  // say shows a short word in the picture.
  say(what, bad) {
    text(this.toast, what);
    this.toast.classList.toggle("bad", Boolean(bad));
    clearTimeout(this.toasted);
    this.toasted = setTimeout(() => text(this.toast, ""), bad ? 10_000 : 3500);
  }

  record() {
    return this.recorder.toggle();
  }

  figure(name, value, unit, title, bad) {
    let f = this.figures.get(name);
    if (!f) {
      f = { value: element("span"), unit: element("small"), box: element("div") };
      f.box.append(element("dt", {}, name), element("dd", {}, f.value, " ", f.unit));
      this.figures.set(name, f);
      this.strip.append(f.box);
    }
    text(f.value, value);
    text(f.unit, unit);
    f.box.title = title;
    f.box.classList.toggle("bad", Boolean(bad));
  }

  update(s) {
    if (!s || this.closed) return;
    const live = s.live, record = live.record, d = this.screen.viewer;
    this.root.classList.toggle("off", !s.connected); // figures are of what was
    const st = s.state;
    text(this.sub, [
      s.connected ? s.wire : "not connected", s.connected && s.cipher, s.host, s.remote,
      live.width ? `${live.width}×${live.height} ${live.format}` : live.format,
      st.camera?.name, st.mode, st.port && `${st.port} port`, st.policy && `policy ${st.policy}`, st.congestion, st.codec, st.adapting && `adapting: ${st.adapting}`,
    ].filter(Boolean).join(" · "));
    const seen = d?.latency, lost = live.total_offered - live.total_delivered;
    this.figure("displayed", number(d?.fps), "fps", "frames shown by this page, over the last second");
    this.figure("frame rate", number(live.fps), "fps", "frames delivered to the receiver, over the last second");
    this.figure("to screen p50", ms(seen?.p50_ms), `ms${bound(d?.clock_error_ms)}`, "capture to this page's screen, of the last 5 to 10 s, with the bound of the clocks' error. The stamp is early by 4 to 15 ms: the canvas is handed over, the screen shows it a refresh later.");
    this.figure("to screen p99", ms(seen?.p99_ms), "ms", "likewise");
    this.figure("delivered p50", ms(record?.latency?.p50_ms), `ms${bound(record?.clock_error_ms)}`, "capture to delivery at the receiver, open record");
    this.figure("delivered p99", ms(record?.latency?.p99_ms), "ms", "likewise");
    this.figure("age", ms(live.age_ms), "ms", "of the newest frame at the receiver, now");
    this.figure("viewers", count(s.viewers), "", "everybody who gets this camera's frames");
    this.figure("frame", kilo(live.frame_bytes), "kB", "the newest frame");
    this.figure("rate", number(live.mbit_per_s), "Mbit/s", "over the last second");
    this.figure("lost", count(lost), `of ${count(live.total_offered)}`, "frames that the camera produced and the receiver did not deliver", this.lostRise.see(lost));
    this.figure("freezes", count(live.total_freezes), "", "gaps of at least max(3 × mean, mean + 150 ms)", this.freezeRise.see(live.total_freezes));
    this.stageRows(record, d);
    this.lossRows(live, d);
    this.controls.update(s);
    this.recorder.update(s.recording);
    this.charts.tick();
    const notes = [...(st.camera?.notes ?? [])];
    if (live.total_imbalance) notes.push(`the ledger does not balance by ${live.total_imbalance} frames: this is a bug`);
    if (this.noted !== notes.join()) {
      this.noted = notes.join();
      this.notes.replaceChildren(...notes.map((n) => element("li", {}, n)));
    }
    const open = `${live.run} ${record?.record ?? 0}`;
    if (open !== this.recordOpen) {
      this.run = live.run;
      this.recordOpen = open;
      this.loadRecords();
    }
  }

  stageRows(record, d) {
    const rows = stageOrder.filter((n) => record?.stages?.[n]).map((n) => [n, record.stages[n]]);
    if (record?.latency) rows.push(["delivered", record.latency, "sum"]);
    if (d?.display) rows.push(["display", d.display]);
    if (d?.latency) rows.push(["on screen", d.latency, "sum"]);
    if (record?.age) rows.push(["age", record.age, "apart"]);
    fill(this.stages, rows.map(([name, q, kind]) => ({ kind, cells: [name, fine(q.p50_ms), fine(q.p90_ms), fine(q.p99_ms), fine(q.max_ms)] })));
    if (rows.length === 0) fill(this.stages, [{ cells: ["unknown: no stamps", "", "", "", ""] }]);
  }

  lossRows(live, d) {
    const rows = Object.entries(live.total_lost).sort((a, b) => b[1] - a[1]).map(([k, v]) => [words(k), v]);
    const page = d ? [["not sent to this page, it was not ready", d.dropped], ["overtaken in this page", d.overtaken], ["not decodable here", d.failed]].filter(([, v]) => v > 0) : [];
    const key = JSON.stringify([rows, page, live.total_offered]);
    if (key === this.lossKey) return;
    this.lossKey = key;
    const line = ([name, v], of) => element("div", { class: of >= 300 && v >= of / 100 ? "loss much" : "loss" }, element("span", {}, name), element("span", {}, count(v)), element("span", {}, part(v, of)));
    const shown = (d?.shown ?? 0) + (d?.dropped ?? 0) + (d?.overtaken ?? 0) + (d?.failed ?? 0);
    this.losses.replaceChildren(
      element("p", { class: "dim" }, rows.length ? `of ${count(live.total_offered)} frames that the camera produced:` : `None of ${count(live.total_offered)} frames.`),
      ...rows.map((r) => line(r, live.total_offered)),
      ...(page.length ? [element("p", { class: "dim" }, "by this page only:"), ...page.map((r) => line(r, shown))] : []));
  }

  async loadRecords() {
    let all;
    try {
      all = await json(`${this.camera.path}/records`);
    } catch {
      return;
    }
    if (this.closed) return;
    const rows = [];
    all.slice(-100).reverse().forEach((r, i, newest) => {
      const earlier = r.run !== (this.run ?? all.at(-1).run);
      if (earlier && (i === 0 || newest[i - 1].run !== r.run)) { // no gapless run: what is between them nobody measured
        rows.push({ kind: "earlier apart", span: 9, cells: [`an earlier run, numbered apart${r.began ? `; its last record began ${new Date(r.began).toLocaleString()}` : ""}`] });
      }
      rows.push({ kind: earlier ? "earlier" : "", cells: [r.record + (r.complete ? "" : " *"), count(r.frames), number(r.elapsed_s), count(Math.round(r.mean_frame_bytes)), number(r.fps),
        fine(r.latency?.p50_ms), fine(r.latency?.p99_ms), fine(r.age?.p99_ms), count(r.offered - r.delivered)] });
    });
    fill(this.records, rows);
    if (all.length === 0) fill(this.records, [{ cells: ["none is finished yet", ...Array(8).fill("")] }]);
  }
}

// part writes a share: of little, as many digits as tell it from nothing.
function part(v, of) {
  const share = of > 0 ? (100 * v) / of : 0;
  return share < 0.01 ? "< 0.01 %" : `${share < 1 ? share.toFixed(2) : share.toFixed(1)} %`;
}

function card(title, content, id) {
  return element("section", { class: "card", id }, element("h3", {}, title), content);
}

function table(heads, body, caption) {
  return element("table", {}, element("caption", { class: "hide" }, caption),
    element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h)))), body);
}

// fill sets a table's cells and makes rows only when their number changes.
function fill(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((r, i) => {
    const tr = body.rows[i] ?? body.insertRow();
    tr.className = r.kind ?? "";
    while (tr.cells.length > r.cells.length) tr.deleteCell(-1);
    while (tr.cells.length < r.cells.length) tr.insertCell();
    tr.cells[0].colSpan = r.span ?? 1;
    r.cells.forEach((c, k) => text(tr.cells[k], String(c)));
  });
}

