// The code that a camera films, one number for each refresh of this screen (package
// internal/glass describes it), and what came of it.

const columns = 12, rows = 8;
const canvas = document.getElementById("code");
const panel = document.getElementById("panel");
const draw = canvas.getContext("2d", { alpha: false });
const set = (id, text) => {
  const e = document.getElementById(id);
  if (e.textContent !== text) e.textContent = text;
};
const camera = new URLSearchParams(location.search).get("camera") ?? "";

let number = Math.floor(Math.random() * 65536);
const links = new Map(); // by camera: what it was not told yet, and what came of it
let cell = 0, left = 0, top_ = 0;
let lit = -1; // the bits that stand on the canvas

function fill(column, row, white) {
  draw.fillStyle = white ? "#fff" : "#000";
  draw.fillRect(left + column * cell, top_ + row * cell, cell, cell);
}

// layout draws all that does not change, in whole pixels of the screen.
function layout() {
  const scale = devicePixelRatio || 1;
  const wide = Math.round(innerWidth * scale), high = Math.round((innerHeight - panel.offsetHeight) * scale);
  canvas.width = wide;
  canvas.height = high;
  canvas.style.width = `${wide / scale}px`;
  canvas.style.height = `${high / scale}px`;
  cell = Math.max(4, Math.floor(Math.min(wide / (columns + 1.5), high / (rows + 1.5))));
  left = Math.floor((wide - columns * cell) / 2);
  top_ = Math.floor((high - rows * cell) / 2);
  draw.fillStyle = "#000";
  draw.fillRect(0, 0, wide, high);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const ring = Math.min(column, row, columns - 1 - column, rows - 1 - row);
      if (ring < 2) fill(column, row, ring === 0 || (row === 1 && (column === 1 || column === 2)));
    }
  }
  lit = -1;
}
addEventListener("resize", layout);
layout();

// Each refresh shows the next number; only the cells that change are drawn.
function refresh() {
  number = (number + 1) & 0xffff;
  const bits = number ^ (number >> 1), changed = lit < 0 ? 0xffff : bits ^ lit;
  for (let i = 0; i < 16; i++) {
    const mask = 1 << (15 - i);
    if (!(changed & mask)) continue;
    const column = 2 + (i % 8), row = 2 + 2 * Math.floor(i / 8), on = (bits & mask) !== 0;
    fill(column, row, on);
    fill(column, row + 1, !on);
  }
  lit = bits;
  const now = Math.round(performance.now() * 1000) / 1000;
  for (const link of links.values()) {
    if (link.shown.length > 1500) link.shown = []; // nobody listens
    if (link.shown.length === 0) link.first = number;
    link.shown.push(now);
  }
  requestAnimationFrame(refresh);
}
requestAnimationFrame(refresh);

function report(s) {
  const ms = (v) => v.toFixed(v < 100 ? 1 : 0);
  set("figure", s.read ? ms(s.p50_ms) : "–");
  set("unit", s.read ? `± ${ms(s.uncertainty_ms)} ms, painted here to delivered by camera ${s.camera}` : "ms");
  set("detail", s.frames === 0 ? `No frame of camera ${s.camera} yet.`
    : s.read ? `p90 ${ms(s.p90_ms)}, p99 ${ms(s.p99_ms)} ms · read ${s.read} of ${s.frames} frames · screen ${(1000 / s.refresh_ms).toFixed(0)} Hz`
      + (s.synced ? ` · by the clocks ${ms(s.synced.p50_ms)} ± ${ms(s.synced.clock_error_ms)} ms: ${s.synced.agrees ? "agrees" : "does not agree"}, ${s.synced.why}` : "")
    : `${s.frames} frames, none of them readable yet.`);
  const hint = s.now ? [s.now, s.hint].filter(Boolean).join(": ") : s.note ?? "";
  set("hint", hint && `${hint[0].toUpperCase()}${hint.slice(1)}.`);
}

// Each camera may see this screen; what is shown is of the one that reads most.
function best() {
  let most;
  for (const link of links.values()) if (link.state && (!most || link.state.read > most.state.read)) most = link;
  return most;
}

function connect(name) {
  const path = `cameras/${encodeURIComponent(name)}`;
  const link = { name, path, first: number, shown: [], state: undefined };
  links.set(name, link);
  const socket = new WebSocket(new URL(`${path}/glass/ws`, location.href.replace(/^http/, "ws")));
  socket.onmessage = (e) => {
    const got = performance.now();
    const ask = JSON.parse(e.data);
    const message = { id: ask.id, got, first: link.first, shown: link.shown, sent: 0 };
    link.shown = [];
    message.sent = performance.now();
    socket.send(JSON.stringify(message));
    if (!ask.state) return;
    link.state = ask.state;
    if (best() === link) report(ask.state);
  };
  socket.onclose = () => links.delete(name);
}

// look keeps a connection for each camera: the one that was asked for, or all.
async function look() {
  try {
    const names = camera ? [camera] : (await (await fetch("cameras", { cache: "no-store" })).json()).map((c) => c.name).slice(0, 16);
    if (names.length === 0) set("detail", "No camera is connected yet.");
    for (const name of names) if (!links.has(name)) connect(name);
  } catch {
    set("detail", "The receiver is gone. Trying again.");
  }
  setTimeout(look, 1000);
}
look();

document.getElementById("full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
document.getElementById("aim").addEventListener("click", (e) => {
  const preview = document.getElementById("preview"), on = preview.hidden;
  preview.hidden = !on;
  const link = best() ?? [...links.values()][0];
  if (on && link) preview.src = `${link.path}/stream?early=1`;
  else preview.removeAttribute("src");
  e.currentTarget.setAttribute("aria-pressed", on);
});
