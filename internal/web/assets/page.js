// The page: each camera's picture, and the figures that the receiver measures.
// It asks for /cameras twice a second and touches only what changed.

const list = document.getElementById("cameras");
const status = document.getElementById("status");
const template = document.getElementById("camera");
const views = new Map();
const historyLength = 240;

const number = (v, digits = 1) => (v === undefined || v === null ? "–" : v.toFixed(digits));
const ms = (v) => (v === undefined || v === null ? "–" : v < 10 ? v.toFixed(2) : v.toFixed(1));
const words = (s) => s.replaceAll("_", " ");

function element(tag, text, attributes = {}) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

class View {
  constructor(name) {
    this.name = name;
    this.path = `cameras/${encodeURIComponent(name)}`;
    this.root = template.content.firstElementChild.cloneNode(true);
    this.img = this.root.querySelector("img");
    this.fps = [];
    this.root.querySelector("h2").textContent = name;
    this.img.alt = `live picture of camera ${name}`;
    this.img.addEventListener("error", () => setTimeout(() => this.load(), 1000));
    const links = this.root.querySelector(".links");
    for (const [text, path] of [["stream", "stream"], ["snapshot", "snapshot"], ["state", "state"], ["records", "records"]]) {
      links.append(element("a", text, { href: `${this.path}/${path}` }));
    }
    this.load();
  }

  load() {
    this.img.src = `${this.path}/stream?early=1&t=${Date.now()}`;
  }

  figure(name, value, unit, note, bad) {
    const box = element("div");
    if (bad) box.className = "bad";
    const dd = element("dd", value);
    dd.append(" ", element("small", unit));
    if (note) dd.title = note;
    box.append(element("dt", name), dd);
    return box;
  }

  update(s) {
    const live = s.live, record = live.record;
    const connected = s.connected;
    if (connected && this.wasGone) this.load();
    this.wasGone = !connected;
    const stalled = connected && live.fps === 0 && (live.age_ms ?? 0) > 2000;
    const note = this.root.querySelector(".nosignal");
    note.hidden = connected && !stalled && !s.state.error;
    if (!note.hidden) {
      note.replaceChildren(element("b", "NO SIGNAL"), s.state.error || (stalled ? "connected, but no frame for " + number(live.age_ms / 1000) + " s" : s.cause || "not connected"));
    }
    this.root.querySelector(".sub").textContent = [
      connected ? s.wire : "gone", s.host, s.remote,
      live.width ? `${live.width}×${live.height} ${live.format}` : live.format, s.state.mode, s.state.port && s.state.port + " port",
      s.state.policy && "policy " + s.state.policy, s.state.congestion, s.state.codec,
    ].filter(Boolean).join(" · ");
    const latency = record?.latency, bound = s.clock?.error_ms;
    this.root.querySelector(".badge").textContent = connected ? `${number(live.fps)} fps${latency ? "  " + ms(latency.p50_ms) + " ms" : ""}` : "";
    const lost = live.total_offered - live.total_delivered;
    this.root.querySelector(".figures").replaceChildren(
      this.figure("frame rate", number(live.fps), "fps", "delivered, over the last second"),
      this.figure("latency p50", ms(latency?.p50_ms), bound ? `ms ±${ms(bound)}` : "ms", "capture to delivery, open record"),
      this.figure("latency p99", ms(latency?.p99_ms), "ms", "capture to delivery, open record"),
      this.figure("age", ms(live.age_ms), "ms", "of the newest frame, now"),
      this.figure("frame", number(live.frame_bytes / 1000), "kB", "the newest frame"),
      this.figure("rate", number(live.mbit_per_s), "Mbit/s"),
      this.figure("lost", String(lost), "of " + live.total_offered, Object.entries(live.total_lost).map(([k, v]) => `${words(k)}: ${v}`).join("\n"), lost > 0),
      this.figure("freezes", String(live.total_freezes), "", "gaps of at least max(3 × mean, mean + 150 ms)", live.total_freezes > 0),
      this.figure("viewers", String(s.viewers), ""),
    );
    this.fps.push(live.fps);
    if (this.fps.length > historyLength) this.fps.shift();
    const top = Math.max(10, ...this.fps) * 1.1;
    this.root.querySelector(".chart path").setAttribute("d",
      this.fps.map((v, i) => `${i ? "L" : "M"}${(300 * i) / (historyLength - 1)},${60 - (58 * v) / top}`).join(""));
    this.stages(record);
  }

  stages(record) {
    const table = this.root.querySelector(".stages");
    const head = element("tr");
    for (const t of ["stage", "p50", "p90", "p99", "max"]) head.append(element("th", t));
    const rows = [...Object.entries(record?.stages ?? {})];
    if (record?.latency) rows.push(["total", record.latency]);
    if (record?.age) rows.push(["age", record.age]);
    table.replaceChildren(head, ...rows.map(([name, q]) => {
      const tr = element("tr");
      for (const t of [name, ms(q.p50_ms), ms(q.p90_ms), ms(q.p99_ms), ms(q.max_ms)]) tr.append(element("td", t));
      return tr;
    }));
  }

  records(all) {
    const head = element("tr");
    for (const t of ["record", "frames", "s", "bytes", "fps", "p50 ms", "p99 ms", "lost"]) head.append(element("th", t));
    this.root.querySelector(".records").replaceChildren(head, ...all.slice(-100).reverse().map((r) => {
      const tr = element("tr");
      for (const t of [r.record + (r.complete ? "" : " *"), r.frames, number(r.elapsed_s), Math.round(r.mean_frame_bytes), number(r.fps),
        ms(r.latency?.p50_ms), ms(r.latency?.p99_ms), r.offered - r.delivered]) tr.append(element("td", String(t)));
      return tr;
    }));
  }
}

async function get(path) {
  const r = await fetch(path, { cache: "no-store" });
  if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
  return r.json();
}

function empty() {
  const p = element("p", "No camera yet. On the camera's machine:", { class: "empty" });
  p.append(element("br"), element("code", `framepipe send ${location.hostname}`));
  return p;
}

let round = 0;
async function refresh() {
  try {
    const cameras = await get("cameras");
    for (const s of cameras) {
      let v = views.get(s.name);
      if (!v) {
        v = new View(s.name);
        views.set(s.name, v);
        list.querySelector(".empty")?.remove();
        list.append(v.root);
      }
      v.update(s);
      if (round % 4 === 0) v.records(await get(`${v.path}/records`));
    }
    for (const [name, v] of views) {
      if (!cameras.some((s) => s.name === name)) {
        v.root.remove();
        views.delete(name);
      }
    }
    if (views.size === 0 && !list.querySelector(".empty")) list.append(empty());
    const n = cameras.filter((s) => s.connected).length;
    status.textContent = `${n} camera${n === 1 ? "" : "s"} connected`;
    if (status.dataset.lost) for (const v of views.values()) v.load();
    delete status.dataset.lost;
    round++;
  } catch (e) {
    status.textContent = "connection to the receiver lost; trying again";
    status.dataset.lost = "1";
  }
}

async function run() {
  for (;;) {
    await refresh();
    await new Promise((r) => setTimeout(r, 500));
  }
}
run();
