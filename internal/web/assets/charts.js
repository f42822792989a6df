// Charts of the last minutes, one point a second, from the receiver's memory; so
// they are there as soon as the page is, and after a reload.

import { clock, clockShort, element, fine, json, remember, words } from "./dom.js";

const stages = ["driver", "encode", "queue", "network", "transfer", "deliver", "display"];
const spans = [120, 600];

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const letter = (i) => (i < 26 ? String.fromCharCode(65 + i) : `${String.fromCharCode(65 + ((i / 26) | 0) - 1)}${String.fromCharCode(65 + (i % 26))}`);

export class Charts {
  // viewer tells this page's number at the receiver, if it has one yet.
  constructor(path, viewer) {
    this.path = path;
    this.viewer = viewer;
    this.span = Number(remember("span")) || spans[0];
    this.clear();
    this.plots = [
      this.plot("Frame rate", "fps", [{ label: "delivered", colour: "--c1" }, { label: "displayed", colour: "--c2" }], (h) => [h.fps, h.shown], { digits: 0 }),
      this.plot("Latency by stage", "ms, mean", stages.map((label, i) => ({ label, colour: `--s${i}` })), (h) => stages.map((n) => h.stages_ms[n]), { stacked: true, robust: true }),
      this.plot("Frame size", "kB, mean", [{ label: "size", colour: "--c3" }], (h) => [h.bytes.map((v) => (v === null ? null : v / 1000))], {}),
      this.plot("Losses", "frames per second", [{ label: "lost", colour: "--bad" }], (h) => [h.loss], { digits: 0, bars: true }),
    ];
    this.choice = element("span", { class: "segments", role: "group", "aria-label": "time shown" }, ...spans.map((s) => {
      const b = element("button", { type: "button", "aria-pressed": String(s === this.span), onclick: () => this.zoom(s) }, `${s / 60} min`);
      b.dataset.span = s;
      return b;
    }));
    this.list = element("ol", { class: "marks", "aria-label": "changes of settings" });
    this.root = element("section", { class: "charts-box", "aria-label": "the last minutes" },
      element("div", { class: "charts-head" }, element("h3", {}, "The last minutes"), this.choice),
      element("div", { class: "charts" }, ...this.plots.map((p) => p.card)), this.list);
    this.observer = new ResizeObserver(() => this.resize());
    for (const p of this.plots) this.observer.observe(p.box);
  }

  close() {
    this.closed = true;
    this.observer.disconnect();
    for (const p of this.plots) p.chart?.destroy();
  }

  clear() {
    this.rows = { s: [], t: [], fps: [], shown: [], bytes: [], displayed_ms: [], loss: [], stages_ms: Object.fromEntries(stages.map((n) => [n, []])) };
    this.marks = [];
    this.busy = false;
    this.at = 0;
  }

  zoom(span) {
    this.span = span;
    remember("span", span);
    for (const b of this.choice.children) b.setAttribute("aria-pressed", Number(b.dataset.span) === span);
    this.draw();
  }

  tick() {
    if (document.hidden || this.busy || performance.now() - this.at < 950) return;
    this.refresh();
  }

  async refresh() {
    this.busy = true;
    this.at = performance.now();
    const rows = this.rows;
    try {
      const last = rows.s.at(-1);
      const ask = new URLSearchParams();
      if (last !== undefined) ask.set("after", last);
      if (this.viewer()) ask.set("viewer", this.viewer());
      const h = await json(`${this.path}/history?${ask}`);
      if (this.closed || rows !== this.rows) return;
      this.take(h);
      this.draw();
    } catch {
      // the page says so elsewhere
    } finally {
      this.busy = false;
    }
  }

  take(h) {
    const r = this.rows;
    if (h.s.length > 0 && h.s[0] <= (r.s.at(-1) ?? -1)) this.clear();
    const into = this.rows;
    h.s.forEach((s, i) => {
      into.s.push(s);
      into.t.push(h.t[i]);
      into.loss.push(Object.values(h.lost).reduce((sum, column) => sum + column[i], 0));
      for (const k of ["fps", "shown", "bytes", "displayed_ms"]) into[k].push(h[k][i]);
      for (const n of stages) into.stages_ms[n].push(h.stages_ms[n][i]);
    });
    const extra = into.s.length - spans.at(-1);
    if (extra > 0) for (const a of [into.s, into.t, into.fps, into.shown, into.bytes, into.displayed_ms, into.loss, ...Object.values(into.stages_ms)]) a.splice(0, extra);
    this.now = h.now;
    this.marks = h.marks.map((m, i) => ({ ...m, letter: letter((h.marks_before + i) % 702) }));
  }

  plot(title, unit, series, columns, options) {
    const box = element("div", { class: "plot" });
    const card = element("figure", { class: "chart", "aria-label": `${title}, ${unit}` }, element("figcaption", {}, element("b", {}, title), ` ${unit}`), box);
    return { card, box, series, columns, options };
  }

  // make creates a chart as soon as its place has a size.
  make(p, width) {
    const { stacked, bars, robust, digits } = p.options;
    const at = (u, k, i) => (stacked ? p.raw[k][i] : u.data[k + 1][i]);
    const value = (k) => (u, _, __, i) => (i === null || i === undefined || at(u, k, i) == null ? "–" : digits === 0 ? at(u, k, i).toFixed(0) : fine(at(u, k, i)));
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const axis = { stroke: () => css("--dim"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { show: false }, font: `${Math.round(0.78 * rem)}px system-ui` };
    const opts = {
      width, height: this.height(width),
      cursor: { sync: { key: "framepipe" }, drag: { x: false, y: false }, points: { show: !stacked } },
      legend: { live: true },
      scales: { x: { time: true, range: () => [this.now - this.span, this.now] }, y: { range: (u, lo, hi) => [0, Math.max((robust ? this.most(u) : hi) ?? 0, bars ? 3 : 1) * 1.1] } },
      axes: [{ ...axis, size: 1.6 * rem, space: 4.6 * rem, values: (_, at) => at.map((v) => (v % 60 ? clock(v) : clockShort(v))) }, { ...axis, size: 2.9 * rem, space: 2 * rem }],
      series: [{ value: (_, v) => (v ? clock(v) : "–") }, ...p.series.map((s, k) => ({
        label: s.label, value: value(k), width: stacked ? 1 : 1.6, stroke: () => css(s.colour), points: { show: false }, spanGaps: false,
        fill: stacked || bars ? () => css(s.colour) : undefined,
        paths: bars ? uPlot.paths.bars({ size: [0.9, 12] }) : undefined,
      }))],
      hooks: { draw: [(u) => this.drawMarks(u)] },
    };
    // A stacked series is the sum up to it; the largest is drawn first, the
    // smaller ones over it.
    if (stacked) opts.series.splice(1, p.series.length, ...opts.series.slice(1).reverse());
    p.chart = new uPlot(opts, this.data(p), p.box);
  }

  height(width) {
    return Math.round(Math.min(Math.max(width * 0.38, 150), 320));
  }

  data(p) {
    const columns = p.columns(this.rows);
    if (!p.options.stacked) return [this.rows.t, ...columns];
    let sum = null;
    p.raw = columns;
    return [this.rows.t, ...columns.map((c) => (sum = c.map((v, i) => (v == null && sum?.[i] == null ? null : (v ?? 0) + (sum?.[i] ?? 0))))).reverse()];
  }

  // most is the top of the scale for what has rare peaks, as latency when a page
  // loads: they may leave the chart, so that the rest can be read.
  most(u) {
    const top = u.data[1].filter((v, i) => v != null && u.data[0][i] >= this.now - this.span).sort((a, b) => a - b);
    return top.length ? Math.min(top.at(-1), 1.6 * top[Math.floor(0.94 * (top.length - 1))]) : 0;
  }

  resize() {
    for (const p of this.plots) {
      const width = Math.floor(p.box.clientWidth);
      if (p.chart && width > 0 && width !== p.chart.width) p.chart.setSize({ width, height: this.height(width) });
    }
  }

  draw() {
    if (this.now === undefined) return;
    for (const p of this.plots) {
      const width = Math.floor(p.box.clientWidth);
      if (width === 0) continue;
      if (!p.chart) this.make(p, width);
      else p.chart.setData(this.data(p));
      if (p.chart.cursor.left < 0 && this.rows.t.length > 0) p.chart.setLegend({ idx: this.rows.t.length - 1 });
    }
    const marks = this.marks.filter((m) => m.t > this.now - this.span);
    const key = marks.map((m) => m.t + m.text).join();
    if (key !== this.key) {
      this.key = key;
      this.list.replaceChildren(...marks.map((m) => element("li", {}, element("b", {}, m.letter), ` ${clock(m.t)} ${words(m.text)}`)));
    }
  }

  redraw() {
    for (const p of this.plots) p.chart?.redraw(false);
  }

  drawMarks(u) {
    const { ctx } = u, { top, height, left, width } = u.bbox, ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.strokeStyle = css("--mark");
    ctx.lineWidth = ratio;
    ctx.font = `700 ${11 * ratio}px system-ui`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    let last = -Infinity, row = 0;
    for (const m of this.marks) {
      const x = u.valToPos(m.t, "x", true);
      if (x < left || x > left + width) continue;
      row = x - last < 18 * ratio ? (row + 1) % 3 : 0; // side by side they would cover each other
      last = x;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, top + height);
      ctx.stroke();
      const w = ctx.measureText(m.letter).width + 8 * ratio, h = 14 * ratio, y = top + 15 * row * ratio;
      ctx.fillStyle = css("--mark");
      ctx.fillRect(Math.min(x, left + width - w), y, w, h); // a flag at its line, whole at the edge too
      ctx.fillStyle = css("--card");
      ctx.fillText(m.letter, Math.min(x, left + width - w) + w / 2, y + h / 2 + ratio / 2);
    }
    ctx.restore();
  }
}
