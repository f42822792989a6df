// Experiments is the view in which people start experiments on the receiver's
// cameras, follow them while the cameras go on being watched, and open reports.

import { addressed, command } from "./connect.js";
import { count, element, json, kilo, ms, number, remember, text } from "./dom.js";

const starter = `name: quality
fixed: {size: 640x480, policy: gated}
factors:
  format: [jpeg]
  quality: [50, 70, 90]   # also mode, port, size, fps, policy, congestion, control.NAME
records: 2                # of record-length, in each of the repeats
record-length: 5s
repeats: 6
`;

const send = (path, body = {}) => json(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(90_000) });

// lasting writes a time as people say it.
export function lasting(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${seconds < 10 ? Math.max(0, Math.round(seconds * 10) / 10) : s}\u00a0s`;
  if (s < 3600) return `${Math.floor(s / 60)}\u00a0min${s % 60 && s < 600 ? `\u00a0${s % 60}\u00a0s` : ""}`;
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)}\u00a0h${minutes % 60 ? `\u00a0${minutes % 60}\u00a0min` : ""}`;
}

const several = (n, one, many) => `${count(n)} ${n === 1 ? one : many}`;
const when = (iso) => new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

export class Experiments {
  // cameras is the page's map; changed is called when one needs its screen back.
  constructor(cameras, may) {
    this.cameras = cameras;
    this.may = may;
    this.cards = new Map(); // by ID
    this.form = new Form(cameras, (st) => this.started(st));
    this.now = element("div", { class: "lab-now" });
    this.past = element("div", { class: "lab-past" });
    this.none = element("div", { class: "lab-none" }, element("p", {}, "None yet."),
      element("p", { class: "dim" }, "Which setting is best on this camera and this link? An experiment visits each setting several times in random order, while the camera goes on being watched, and says in a report which differences are more than chance."),
      element("p", { class: "dim" }, "Reports and all measured data are kept on the receiver's disk. The camera has its settings back afterwards."));
    this.trouble = element("p", { class: "answer bad", role: "alert" });
    this.pastCard = element("section", { class: "card lab-list", "aria-label": "experiments so far" }, element("h2", { class: "head" }, "So far"), this.none, this.past);
    this.root = element("div", { class: "lab" }, this.form.root,
      element("div", { class: "lab-side" }, this.trouble, this.now, this.pastCard));
    this.refresh();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.form.close();
    for (const c of this.cards.values()) c.close();
  }

  // update is called with every word of the receiver about its cameras.
  update() {
    this.form.update();
    for (const c of this.cards.values()) if (c.running) c.picture();
  }

  started(st) {
    this.wanted = st.id;
    this.refresh();
  }

  async refresh() {
    clearTimeout(this.timer);
    let all;
    try {
      all = await json("experiments");
      text(this.trouble, "");
    } catch (e) {
      text(this.trouble, `Experiments cannot be listed: ${e.message}`);
    }
    if (this.closed) return;
    if (all) this.show(all);
    const running = all?.experiments.some((s) => s.state === "running");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), document.hidden ? 5000 : running ? 700 : 3000);
  }

  show(all) {
    this.form.offer(all.presets, all.possible, this.may());
    const list = all.experiments;
    this.none.hidden = list.some((s) => s.state !== "running");
    list.forEach((s) => {
      let c = this.cards.get(s.id);
      const running = s.state === "running";
      if (c && c.running !== running) {
        if (!running) this.wanted = s.id; // what has just ended is open
        c.close();
        this.cards.delete(s.id);
        c = undefined;
      }
      if (!c) {
        c = running ? new Running(s, this.cameras, this.may, () => this.refresh()) : new Past(s, this.may, () => this.refresh());
        this.cards.set(s.id, c);
        if (!running && this.wanted === s.id) c.root.open = true;
      }
      c.update(s);
    });
    for (const [id, c] of this.cards) {
      if (list.some((s) => s.id === id)) continue;
      c.close();
      this.cards.delete(id);
    }
    // The newest first; what is in its place stays there, so that focus does too.
    for (const [box, running] of [[this.now, true], [this.past, false]]) {
      list.filter((s) => (s.state === "running") === running).forEach((s, i) => {
        const root = this.cards.get(s.id).root;
        if (box.children[i] !== root) box.insertBefore(root, box.children[i] ?? null);
      });
    }
  }
}

// Form asks what is to be measured, and says what that amounts to before it begins.
class Form {
  constructor(cameras, started) {
    this.cameras = cameras;
    this.started = started;
    this.camera = element("select", { id: "lab-camera", onchange: () => this.check() });
    this.presets = element("div", { class: "lab-presets", role: "radiogroup", "aria-labelledby": "lab-what" });
    this.plan = element("textarea", { id: "lab-plan", rows: 10, spellcheck: "false", autocomplete: "off", oninput: () => this.checkSoon() });
    this.plan.value = remember("plan") ?? starter;
    this.planBox = element("div", { class: "lab-plan", hidden: true }, element("label", { for: "lab-plan" }, "Plan (YAML)"), this.plan);
    this.quick = element("input", { type: "checkbox", role: "switch", id: "lab-quick", checked: true, onchange: () => this.hurry() });
    const numeric = (id, what) => element("input", { id, type: "text", inputmode: "numeric", autocomplete: "off", placeholder: "as planned", "aria-label": what, oninput: () => this.checkSoon() });
    this.records = numeric("lab-records", "records in each visit");
    this.length = numeric("lab-length", "length of a record, as in 10s");
    this.length.inputMode = "text";
    this.repeats = numeric("lab-repeats", "visits to each setting");
    const field = (label, input) => element("div", { class: "field" }, element("label", { for: input.id }, label), input);
    this.outline = element("p", { class: "lab-outline" });
    this.cells = element("p", { class: "dim" });
    this.bad = element("p", { class: "answer bad", role: "alert" });
    this.button = element("button", { class: "primary", type: "submit", disabled: true }, "Start");
    this.why = element("p", { class: "dim", hidden: true });
    this.root = element("form", { class: "card lab-new", "aria-label": "new experiment", onsubmit: (e) => this.start(e) },
      element("h2", { class: "head", id: "lab-what" }, "New experiment"), this.why,
      field("Camera", this.camera), this.presets, this.planBox,
      element("div", { class: "field" }, element("label", { for: "lab-quick", title: "fewer and shorter records: for a first look" }, "A quick look"), this.quick),
      element("details", {}, element("summary", {}, "Records and repeats"), element("div", { class: "fields" },
        field("records", this.records), field("record length", this.length), field("repeats", this.repeats))),
      element("div", { class: "lab-foot" }, element("div", { class: "lab-amount", role: "status" }, this.outline, this.cells), this.bad, this.button));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }

  offer(presets, possible, may) {
    const why = !may ? "This token allows to look, and to change nothing." : !possible ? "The receiver was started without a folder for experiments (--experiments)." : "";
    this.why.hidden = !why;
    text(this.why, why);
    this.closedTo = Boolean(why);
    if (this.offered) return;
    this.offered = true;
    const chosen = remember("preset") ?? "origin-formats";
    const choice = (name, title, what, time) => {
      const input = element("input", { type: "radio", name: "preset", value: name, checked: name === chosen, onchange: () => this.choose() });
      this.presets.append(element("label", { class: "lab-preset", title: what }, input, element("b", {}, title), time, element("span", {}, what)));
      return input;
    };
    this.times = presets.map((p) => ({ p, at: element("small") }));
    for (const { p, at } of this.times) choice(p.name, p.name, p.description, at);
    choice("", "own plan", "factors and levels, written down", element("small"));
    this.hurry();
    if (!this.presets.querySelector("input:checked")) this.presets.querySelector("input").checked = true;
    this.choose();
  }

  update() {
    const names = [...this.cameras.values()].filter((c) => c.status?.connected && c.status.wire !== "v0").map((c) => c.name);
    const busy = (name) => this.cameras.get(name)?.status?.experiment;
    const key = names.map((n) => n + (busy(n) ? "*" : "")).join();
    if (key !== this.key) {
      this.key = key;
      const was = this.camera.value || remember("lab-camera");
      this.camera.replaceChildren(...names.map((n) => element("option", { value: n }, busy(n) ? `${n}, busy` : n)));
      if (names.includes(was)) this.camera.value = was;
      this.check();
    }
  }

  hurry() {
    for (const { p, at } of this.times ?? []) text(at, lasting(this.quick.checked ? p.quick_seconds : p.seconds));
    this.check();
  }

  choose() {
    this.preset = this.presets.querySelector("input:checked")?.value ?? "";
    this.planBox.hidden = this.preset !== "";
    remember("preset", this.preset);
    this.check();
  }

  request() {
    const q = { camera: this.camera.value, quick: this.quick.checked };
    if (this.preset) q.preset = this.preset;
    else q.plan = this.plan.value;
    for (const [key, input] of [["records", this.records], ["repeats", this.repeats]]) {
      const v = input.value.trim();
      if (v === "") continue;
      if (!/^\d+$/.test(v)) throw new Error(`${key} is a number`);
      q[key] = Number(v);
    }
    const length = this.length.value.trim();
    if (length) q.record_length = /^[\d.]+$/.test(length) ? `${length}s` : length;
    return q;
  }

  checkSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), 400);
  }

  // check asks the receiver what the plan amounts to. What is wrong with it is no
  // failure of the request, so that it can be asked with each letter that is typed.
  async check() {
    clearTimeout(this.timer);
    if (!this.offered || this.closedTo) {
      this.button.disabled = true;
      return;
    }
    const turn = (this.turn = (this.turn ?? 0) + 1);
    let o, bad = "";
    try {
      const q = this.request();
      if (q.plan !== undefined) remember("plan", q.plan);
      o = await send("experiments/check?explain=1", q);
      bad = o.error ?? "";
    } catch (e) {
      bad = e.message;
    }
    if (turn !== this.turn || this.closed) return;
    const name = this.camera.value, busy = this.cameras.get(name)?.status?.experiment;
    text(this.bad, bad);
    text(this.outline, bad ? "" : `${several(o.cells.length, "setting", "settings")}, ${several(o.visits, "visit", "visits")} of ${several(o.records, "record", "records")} of ${lasting(o.record_length_s)}: about ${lasting(o.seconds)}.`);
    text(this.cells, bad ? "" : o.cells.length > 8 ? `${o.cells.slice(0, 7).join(" · ")} · and ${o.cells.length - 7} more` : o.cells.join(" · "));
    this.button.disabled = Boolean(bad) || !name || Boolean(busy);
    text(this.button, !name ? "No camera is connected" : busy ? `${name} is being measured` : `Start on ${name}`);
  }

  async start(e) {
    e.preventDefault();
    if (this.button.disabled) return;
    this.button.disabled = true;
    text(this.bad, "");
    try {
      remember("lab-camera", this.camera.value);
      this.started(await send("experiments", this.request()));
      text(this.button, `${this.camera.value} is being measured`);
    } catch (e) {
      text(this.bad, e.message);
      this.button.disabled = false;
    }
  }
}

// bars shows what each setting has given so far.
class Bars {
  constructor() {
    this.body = element("tbody");
    this.root = element("table", { class: "lab-bars" }, element("caption", { class: "hide" }, "What each setting has given so far"),
      element("thead", {}, element("tr", {}, ...["setting", "fps", "", "p50 ms", "kB", "visits"].map((h) => element("th", { scope: "col" }, h)))), this.body);
  }

  update(s) {
    const most = Math.max(1e-9, ...s.cells.map((c) => c.fps));
    while (this.body.rows.length > s.cells.length) this.body.deleteRow(-1);
    s.cells.forEach((c, i) => {
      let tr = this.body.rows[i];
      if (!tr) {
        tr = this.body.insertRow();
        tr.append(element("th", { scope: "row" }));
        for (let k = 0; k < 5; k++) tr.insertCell();
        tr.cells[2].append(element("span", { class: "lab-bar" }));
      }
      text(tr.cells[0], c.text);
      text(tr.cells[1], c.records ? number(c.fps) : "");
      tr.cells[2].firstChild.style.setProperty("--part", c.records ? c.fps / most : 0);
      text(tr.cells[3], c.records ? ms(c.latency_p50_ms) : "");
      text(tr.cells[4], c.records ? kilo(c.mean_frame_bytes) : "");
      text(tr.cells[5], `${c.visits}/${s.repeats}`);
      tr.classList.toggle("now", s.progress?.cell === c.id);
      tr.classList.toggle("best", s.state !== "running" && c.text === s.best);
    });
  }
}

// Running is an experiment that is going on.
class Running {
  constructor(s, cameras, may, changed) {
    this.id = s.id;
    this.running = true;
    this.cameras = cameras;
    this.camera = s.camera;
    this.shot = element("a", { class: "lab-shot", href: `#/${encodeURIComponent(s.camera)}`, "aria-label": `camera ${s.camera}: open` });
    this.left = element("b", { class: "lab-left" });
    this.at = element("p", { class: "sub" });
    this.bar = element("progress", { max: 1, value: 0, "aria-label": "records done" });
    this.fps = element("span");
    this.latency = element("span");
    this.lost = element("span");
    const figure = (name, value, unit) => element("div", {}, element("dt", {}, name), element("dd", {}, value, " ", element("small", {}, unit)));
    this.live = element("dl", { class: "figures" }, figure("frame rate", this.fps, "fps"), figure("latency p50", this.latency, "ms"), figure("lost", this.lost, ""));
    this.stop = element("button", { type: "button", class: "danger", hidden: !may(), onclick: () => this.end(changed) }, "Stop");
    this.bad = element("p", { class: "answer bad", role: "alert" });
    this.bars = new Bars();
    this.log = element("ol", { class: "lab-log" });
    this.seen = 0;
    this.root = element("section", { class: "card lab-run", "aria-label": `experiment ${s.name} on ${s.camera}` },
      element("div", { class: "lab-head" }, element("span", { class: "chip running" }, "measuring"), element("h2", {}, s.name), element("span", { class: "dim" }, `on ${s.camera}`), this.stop),
      element("div", { class: "lab-go" }, this.shot,
        element("div", { class: "lab-state" }, element("p", { class: "lab-time" }, this.left, " left"), this.bar, this.at, this.live)),
      this.bad, element("div", { class: "scroll-x" }, this.bars.root),
      element("details", {}, element("summary", {}, "Log"), this.log));
    this.picture();
  }

  // picture borrows the camera's live picture from the page.
  picture() {
    const screen = this.cameras.get(this.camera)?.screen;
    if (screen && screen.root.parentNode !== this.shot) this.shot.replaceChildren(screen.root);
  }

  close() {
    this.shot.replaceChildren(); // the camera keeps its screen, and that would keep all of this
    this.root.remove();
  }

  async end(changed) {
    this.stop.disabled = true;
    text(this.stop, "Stopping …");
    try {
      await send(`experiments/${encodeURIComponent(this.id)}/stop`);
    } catch (e) {
      text(this.bad, e.message);
      this.stop.disabled = false;
      text(this.stop, "Stop");
    }
    changed();
  }

  update(s) {
    const p = s.progress;
    this.bar.value = s.planned ? s.records / s.planned : 0;
    text(this.left, p ? lasting(Math.round(p.left_s)) : "…");
    const cell = s.cells.find((c) => c.id === p?.cell);
    text(this.at, p ? `visit ${p.visit} of ${p.visits}: ${cell?.text ?? p.cell}, repeat ${p.repeat}, ${p.settling ? "settling" : `record ${p.record} of ${p.records}`}` : "asking the camera for every setting once");
    text(this.fps, p && !p.settling ? number(p.fps) : "–");
    text(this.latency, p && !p.settling ? ms(p.latency_p50_ms) : "–");
    text(this.lost, p && !p.settling ? count(p.lost) : "–");
    this.bars.update(s);
    if (s.last_message > this.seen) this.follow();
  }

  async follow() {
    let s;
    try {
      s = await json(`experiments/${encodeURIComponent(this.id)}?after=${this.seen}`);
    } catch {
      return; // the next word about it tries again
    }
    for (const m of s.messages ?? []) {
      if (m.n <= this.seen) continue;
      this.seen = m.n;
      const what = (m.attrs ?? []).map(([k, v]) => (k === "cause" ? v : `${k} ${v}`)).join(", ");
      this.log.prepend(element("li", { class: m.level === "INFO" ? "" : "warn" }, what ? `${m.text}: ${what}` : m.text));
    }
    while (this.log.children.length > 100) this.log.lastChild.remove();
  }
}

const chips = { done: "done", stopped: "stopped", failed: "failed" };

// Past is an experiment that is over, or was stopped.
class Past {
  constructor(s, may, changed) {
    this.running = false;
    const path = `experiments/${encodeURIComponent(s.id)}`;
    this.chip = element("span", { class: "chip" });
    this.says = element("span", { class: "lab-says" });
    this.how = element("span", { class: "dim" });
    this.findings = element("ul", { class: "lab-findings" });
    this.best = element("p", { class: "dim" });
    this.typed = command("");
    this.command = this.typed.firstChild;
    this.bad = element("p", { class: "answer bad", role: "alert" });
    this.bars = new Bars();
    this.report = element("a", { class: "button primary", href: `${path}/report.html`, target: "_blank", rel: "noopener" }, "Open the report");
    this.folder = element("a", { class: "button", href: `${path}/folder.zip` }, "Download the folder");
    this.again = element("button", { type: "button", onclick: () => this.resume(path, changed) }, "Go on");
    this.may = may;
    this.root = element("details", { class: "lab-one" },
      element("summary", {}, element("span", { class: "lab-title" }, this.chip, element("b", {}, s.name), this.how), this.says),
      element("div", { class: "lab-body" }, this.findings, this.best, this.typed, this.bad, element("div", { class: "scroll-x" }, this.bars.root),
        element("p", { class: "lab-actions" }, this.report, this.folder, this.again)));
  }

  close() {
    this.root.remove();
  }

  async resume(path, changed) {
    this.again.disabled = true;
    try {
      await send(`${path}/resume`);
      text(this.bad, "");
    } catch (e) {
      text(this.bad, e.message);
    }
    this.again.disabled = false;
    changed();
  }

  update(s) {
    const key = JSON.stringify(s);
    if (key === this.key) return;
    this.key = key;
    this.chip.className = `chip ${s.state}`;
    text(this.chip, chips[s.state] ?? s.state);
    text(this.how, [s.camera, when(s.created), s.state === "done" ? several(s.records, "record", "records") : `${s.records} of ${s.planned} records`].filter(Boolean).join(" · "));
    const findings = s.findings ?? [];
    text(this.says, s.cause ? s.cause : findings[0] ?? "");
    this.findings.replaceChildren(...findings.map((f) => element("li", {}, f)), ...(s.warnings ?? []).map((w) => element("li", { class: "warn" }, w)));
    text(this.best, s.best ? `Best setting: ${s.best}. To use it:` : "");
    text(this.command, addressed(s.command ?? ""));
    this.typed.hidden = !s.command;
    if (s.cause) text(this.bad, s.hint ? `${s.cause} (${s.hint})` : s.cause);
    this.bars.root.hidden = s.records === 0;
    this.bars.update(s);
    this.report.hidden = !s.report;
    this.folder.hidden = !s.folder;
    this.again.hidden = !this.may() || !s.folder || s.state === "done";
  }
}
