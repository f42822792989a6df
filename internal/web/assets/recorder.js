// Recorder is the record button of one camera and what is said about its recording.

import { clockShort, count, element, icon, json, kilo, text, words } from "./dom.js";

export const lasted = (s) => {
  const t = Math.max(0, Math.floor((Date.now() - Date.parse(s.since)) / 1000));
  const part = (v) => String(v).padStart(2, "0");
  return `${t >= 3600 ? `${Math.floor(t / 3600)}:` : ""}${part(Math.floor(t / 60) % 60)}:${part(t % 60)}`;
};

const megabytes = (b) => (b < 1e9 ? `${(b / 1e6).toFixed(1)} MB` : `${(b / 1e9).toFixed(2)} GB`);

export class Recorder {
  constructor(name, path, changed) {
    this.own = new RegExp(`^${name.replaceAll(".", "\\.")}-\\d{8}-\\d{6}`); // as the receiver names files
    this.path = path;
    this.changed = changed;
    this.button = element("button", { class: "icon record", title: "record (V)", "aria-label": "record", "aria-pressed": "false", onclick: () => this.toggle() }, icon("record"));
    this.every = element("select", { id: "record-every", "aria-label": "which frames are recorded" },
      ...[["", "every frame"], ["1", "timelapse, one a second"], ["5", "timelapse, one each 5 s"], ["10", "timelapse, one each 10 s"], ["60", "timelapse, one a minute"], ["600", "timelapse, one each 10 min"]]
        .map(([v, t]) => element("option", { value: v }, t)));
    this.line = element("p", { class: "dim" }); // counts, and is therefore no status
    this.said = element("p", { class: "hide", role: "status" });
    this.bad = element("p", { class: "answer bad", role: "alert" });
    this.files = element("ul", { class: "files" });
    this.card = element("section", { class: "card", id: "recording" }, element("h3", {}, "Recording"),
      element("div", { class: "field" }, element("label", { for: "record-every" }, "Record"), this.every), this.line, this.said, this.bad, this.files);
    text(this.line, "Nothing is being recorded.");
    this.list();
  }

  async toggle() {
    const on = !this.status?.recording;
    const every = on ? Number(this.every.value) : 0;
    this.button.disabled = true;
    text(this.bad, "");
    try {
      this.update(await json(`${this.path}/record`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(every ? { recording: on, every_s: every } : { recording: on }) }));
      this.changed();
    } catch (e) {
      text(this.bad, e.message);
      this.failed = true;
    }
    this.button.disabled = false;
    if (!on) this.list();
  }

  update(s) {
    this.status = s;
    const on = Boolean(s?.recording);
    if (on !== this.on) {
      if (this.on !== undefined || on) text(this.said, on ? "recording" : "recording ended");
      this.on = on;
      this.button.setAttribute("aria-pressed", on);
      this.button.title = on ? "stop recording (V)" : "record (V)";
      this.button.replaceChildren(icon(on ? "stop" : "record"));
      this.every.disabled = on;
    }
    if (!s?.since) return;
    const lost = Object.entries(s.lost).map(([k, v]) => `${words(k)} ${count(v)}`).join(", ");
    text(this.line, `${on ? `Recording for ${lasted(s)}` : "Recorded"}: ${count(s.frames)} frames, ${megabytes(s.bytes)}${s.every_s ? `, one each ${s.every_s} s` : ""}${s.files > 1 ? `, ${s.files} files` : ""}.${lost ? ` Lost to the recording: ${lost}.` : ""}`);
    if (s.error || !this.failed) text(this.bad, s.error ? `Cannot record now: ${s.error}. The live view goes on.` : "");
  }

  // list shows the newest files of this camera's folder.
  async list() {
    let files;
    try {
      files = await json("recordings");
    } catch {
      return;
    }
    files = files.filter((f) => this.own.test(f.name)).sort((a, b) => (a.modified < b.modified ? 1 : -1));
    this.files.replaceChildren(...files.slice(0, 5).map((f) => element("li", {},
      element("a", { href: `recordings/${encodeURIComponent(f.name)}`, download: f.name }, f.name),
      element("span", { class: "dim" }, ` ${f.bytes < 1e5 ? `${kilo(f.bytes)} kB` : megabytes(f.bytes)}, ${clockShort(Date.parse(f.modified) / 1000)}`))));
  }
}
