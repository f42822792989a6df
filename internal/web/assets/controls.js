// Controls lets people change everything that the camera can change while it
// runs. What it shows is what the camera says it does, never what was asked for;
// a refused change says why.

import { element, json, text, words } from "./dom.js";

// Offered where the driver names none.
const sizes = ["320x240", "640x480", "800x600", "1280x720", "1280x960", "1640x1232", "1920x1080", "2592x1944"];
const rates = [5, 10, 15, 24, 25, 30, 50, 60, 90, 120];
const policies = ["gated", "newest", "block", "ack=1", "ack=2", "deadline=100ms"];

export class Controls {
  constructor(path, changed) {
    this.path = path;
    this.changed = changed;
    this.fields = new Map();
    this.basic = element("div", { class: "fields" });
    this.driver = element("div", { class: "fields" });
    this.more = element("details", { hidden: true, open: true }, element("summary", {}, "Camera's own controls"), this.driver);
    this.answer = element("p", { class: "answer", role: "status" });
    this.none = element("p", { class: "dim", hidden: true });
    this.root = element("form", { class: "controls", onsubmit: (e) => e.preventDefault() }, this.none, this.basic, this.more, this.answer);
  }

  focus() {
    this.root.querySelector("input, select, button")?.focus();
  }

  update(s) {
    const st = s.state;
    const why = s.wire === "v0" ? "A v0 camera takes no settings: the format has no way back." : !s.connected ? "Not connected." : s.experiment ? `The experiment ${s.experiment.name} is being carried out on this camera; it has its settings back afterwards.` : "";
    this.none.hidden = !why;
    text(this.none, why);
    this.basic.hidden = Boolean(why);
    this.more.hidden = Boolean(why) || !(st.controls?.length > 0);
    if (why) return;
    this.choice("mode", "capture mode", ["sequence", "continuous"], st.mode);
    this.choice("port", "camera port", ["video", "still"], st.port);
    this.choice("format", "format", ["jpeg", "yuv", "rgb"], st.format);
    const offered = st.camera?.sizes ?? [], size = st.width ? `${st.width}x${st.height}` : "";
    const sizesHere = offered.length ? offered.map((o) => [`${o.width}x${o.height}`, o.fps?.length ? `${o.width} × ${o.height}, ${rate(o.fps[0])} fps` : undefined]) : sizes.map((v) => [v]);
    this.pick("size", "size", size, sizesHere.map(([v, t]) => [v, t ?? v.replace("x", " × ")]), "WIDTHxHEIGHT", (v) => {
      const m = v.match(/^\s*(\d+)\s*[x×*]\s*(\d+)\s*$/i);
      if (!m) throw new Error("size: write WIDTHxHEIGHT");
      return { width: Number(m[1]), height: Number(m[2]) };
    });
    const here = offered.find((o) => o.width === st.camera?.width && o.height === st.camera?.height)?.fps ?? [];
    this.pick("fps", "frame rate", st.fps ? String(rate(st.fps)) : "", (here.length ? here : rates).map((v) => [String(rate(v)), `${rate(v)} fps`]), "frames per second", (v) => {
      if (!(Number(v) >= 0) || v.trim() === "") throw new Error("frame rate: write a number; 0 is the camera's choice");
      return { fps: Number(v) };
    });
    if (st.quality) this.range("quality", "JPEG quality", 1, 100, 1, st.quality, (v) => ({ quality: v }));
    else this.drop("quality");
    if (st.policy) this.pick("policy", "policy", st.policy, policies.map((v) => [v, v]), "ack=N, deadline=80ms …", (v) => ({ policy: v.trim() }));
    if (st.congestion) this.choice("congestion", "congestion", ["bbr", "cubic", "system"], st.congestion);
    for (const c of st.controls ?? []) this.control(c);
  }

  // field makes a labelled control once, and afterwards only returns it.
  field(key, label, make, into = this.basic) {
    let f = this.fields.get(key);
    if (!f) {
      f = { ...make(), key, label };
      f.input.id = `set-${key}`;
      f.row = element("div", { class: "field" }, element("label", { for: f.input.id }, label, f.limits ? element("small", {}, ` ${f.limits}`) : undefined), f.box ?? f.input);
      this.fields.set(key, f);
      into.append(f.row);
    }
    return f;
  }

  drop(key) {
    this.fields.get(key)?.row.remove();
    this.fields.delete(key);
  }

  // put shows a value unless somebody is just changing it.
  put(f, value) {
    if (f.busy || f.touched && f.row.contains(document.activeElement)) return;
    if (f.input.type === "checkbox") f.input.checked = Boolean(Number(value));
    else if (f.input.value !== String(value)) f.input.value = value;
    if (f.shown) text(f.shown, String(value));
  }

  choice(key, label, values, now) {
    if (!now) return;
    const f = this.field(key, label, () => {
      const input = element("select", {}, ...values.map((v) => element("option", {}, v)));
      input.addEventListener("change", () => this.send(f, { [key]: input.value }));
      return { input };
    });
    if (![...f.input.options].some((o) => o.value === now)) f.input.append(element("option", {}, now));
    this.put(f, now);
  }

  // pick is a choice among values that are offered, and, under "other …", any.
  // The values are made anew when others are offered.
  pick(key, label, now, values, form, parse) {
    const f = this.field(key, label, () => {
      const input = element("select");
      const other = element("input", { type: "text", id: `set-${key}-other`, autocomplete: "off", spellcheck: "false", autocapitalize: "off", placeholder: form, "aria-label": `${label}: ${form}`, hidden: true });
      const open = (on) => {
        f.touched = on;
        other.hidden = !on;
        input.hidden = on;
        if (on) other.focus();
      };
      const ask = (v) => {
        try {
          this.send(f, parse(v));
        } catch (e) {
          this.say(e.message, "", true);
        }
      };
      input.addEventListener("change", () => {
        if (input.value === "other") {
          other.value = this.fields.get(key).now;
          open(true);
          other.select();
        } else ask(input.value);
      });
      other.addEventListener("keydown", (e) => {
        if (e.key === "Escape") e.stopPropagation();
        if (e.key === "Enter" || e.key === "Escape") {
          const v = other.value;
          open(false);
          input.focus();
          if (e.key === "Enter") ask(v);
        }
      });
      other.addEventListener("blur", () => {
        if (other.hidden) return;
        const v = other.value;
        open(false);
        if (v !== this.fields.get(key).now) ask(v);
      });
      return { input, box: element("span", {}, input, other) };
    });
    f.now = now;
    const all = values.some(([v]) => v === now) || now === "" ? values : [[now, now.replace("x", " × ")], ...values];
    const offered = JSON.stringify(all);
    if (f.offered !== offered) {
      f.offered = offered;
      f.input.replaceChildren(...all.map(([value, t]) => element("option", { value }, t)), element("option", { value: "other" }, "other …"));
    }
    this.put(f, now);
  }

  range(key, label, min, max, step, now, settings, into) {
    const f = this.field(key, label, () => {
      const input = element("input", { type: "range", min, max, step });
      const shown = element("input", { type: "number", min, max, step, "aria-label": `${label}, as a number` });
      shown.addEventListener("change", () => this.send(f, settings(Number(shown.value))));
      input.addEventListener("input", () => {
        f.touched = true;
        shown.value = input.value;
      });
      input.addEventListener("change", () => {
        f.touched = false;
        this.send(f, settings(Number(input.value)));
      });
      return { input, exact: shown, limits: `${min} to ${max}`, box: element("span", { class: "range" }, input, shown) };
    }, into);
    this.put(f, now);
    if (!f.busy && !f.touched && document.activeElement !== f.exact && f.exact.value !== String(now)) f.exact.value = now;
    return f;
  }

  // control shows one of the driver's, as it describes it.
  control(c) {
    const key = `control-${c.name}`, settings = (v) => ({ controls: { [c.name]: v } });
    const label = c.label || words(c.name);
    let f;
    if (c.type === "bool") {
      f = this.field(key, label, () => {
        const input = element("input", { type: "checkbox", role: "switch" });
        input.addEventListener("change", () => this.send(f, settings(input.checked ? 1 : 0)));
        return { input };
      }, this.driver);
      this.put(f, c.value);
    } else if (c.type === "menu") {
      f = this.field(key, label, () => {
        const input = element("select", {}, ...(c.menu ?? []).map((m) => element("option", { value: m.value }, m.label)));
        input.addEventListener("change", () => this.send(f, settings(Number(input.value))));
        return { input };
      }, this.driver);
      this.put(f, c.value);
    } else if (c.type === "button") {
      f = this.field(key, label, () => {
        const input = element("button", { type: "button", onclick: () => this.send(f, settings(1)) }, "do it");
        return { input };
      }, this.driver);
    } else {
      f = this.range(key, label, c.min, c.max, c.step || 1, c.value, settings, this.driver);
    }
    const off = (c.flags ?? []).some((x) => x === "read-only" || x === "inactive");
    if (f.input.disabled !== off) {
      f.input.disabled = off;
      if (f.exact) f.exact.disabled = off;
    }
    f.row.title = `${c.name}${c.type === "int" ? `, ${c.min} to ${c.max}, default ${c.default}` : ""}${off ? ` (${c.flags.join(", ")})` : ""}`;
  }

  async send(f, settings) {
    f.busy = true;
    f.row.classList.add("busy");
    f.row.classList.remove("refused");
    try {
      await json(`${this.path}/control`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(settings) });
      this.say(`${f.label}: done`);
    } catch (e) {
      f.row.classList.add("refused");
      this.say(`${f.label}: ${e.message}`, e.hint, true);
    }
    f.busy = f.touched = false;
    f.row.classList.remove("busy");
    this.changed();
  }

  say(what, hint, bad) {
    this.answer.className = bad ? "answer bad" : "answer";
    this.answer.replaceChildren(what, ...(hint ? [element("br"), element("small", {}, hint)] : []));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.answer.replaceChildren();
      for (const f of this.fields.values()) f.row.classList.remove("refused");
    }, bad ? 15_000 : 4000);
  }
}

// rate writes a frame rate without what floats add to it.
const rate = (v) => Math.round(v * 100) / 100;
