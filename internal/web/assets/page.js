// The page: all cameras as a grid, or one of them large. It asks the receiver
// how they fare and touches only what changed.

import { element, json, number, remember, text } from "./dom.js";
import { Connect } from "./connect.js";
import { Detail } from "./detail.js";
import { Experiments } from "./experiments.js";
import { Screen } from "./screen.js";

const main = document.getElementById("main");
const tabs = document.getElementById("tabs");
const all = document.getElementById("all");
const status = document.getElementById("status");
const lost = document.getElementById("lost");
const keys = document.getElementById("keys");
const labLink = document.getElementById("lab");
const connect = new Connect(() => shown === "empty" && main.replaceChildren(empty()));
const order = new Intl.Collator("en", { numeric: true });
const cameras = new Map(); // by name: {name, path, screen, tile, tab, status}

let shown; // what main shows now: "grid", "empty", a Detail, or Experiments
let reachable;

// --- which view ---

// The address: "#/NAME" is one camera, "#/" all; without either, one camera is
// shown large if there is one only.
function wanted() {
  const [, name] = location.hash.match(/^#\/(.*)$/) ?? [];
  if (name === undefined) return cameras.size === 1 ? [...cameras.keys()][0] : "";
  return decodeURIComponent(name);
}

function go(name) {
  location.hash = `#/${encodeURIComponent(name)}`;
}

const labWanted = () => location.hash === "#experiments";

function show() {
  const camera = labWanted() ? undefined : cameras.get(wanted());
  if (labWanted() && shown instanceof Experiments) return;
  if (shown instanceof Detail && shown.camera === camera) return;
  if (shown === "grid" && !camera && cameras.size > 0 && !labWanted()) return grid();
  if (shown instanceof Detail) remember("lab-camera", shown.camera.name); // whose experiments are likely meant
  if (shown instanceof Detail || shown instanceof Experiments) shown.close();
  main.className = "";
  if (labWanted()) {
    shown = new Experiments(cameras, () => connect.mayChange);
    main.className = "experiments";
    main.replaceChildren(shown.root);
    shown.update();
  } else if (camera) {
    shown = new Detail(camera);
    main.className = "one";
    main.replaceChildren(shown.root);
    if (camera.status) shown.update(camera.status);
  } else if (cameras.size > 0) {
    shown = "grid";
    main.className = "grid";
    main.replaceChildren();
    grid();
  } else {
    shown = "empty";
    main.replaceChildren(empty());
  }
  for (const c of cameras.values()) {
    if (c === camera) c.tab.setAttribute("aria-current", "page");
    else c.tab.removeAttribute("aria-current");
  }
  if (shown === "grid") all.setAttribute("aria-current", "page");
  else all.removeAttribute("aria-current");
  centre();
  if (labWanted()) labLink.setAttribute("aria-current", "page");
  else labLink.removeAttribute("aria-current");
  document.title = camera ? `${camera.name} · framepipe` : labWanted() ? "experiments · framepipe" : "framepipe";
}

// centre has the shown camera's name in view, among many on a phone.
function centre() {
  const tab = tabs.querySelector("[aria-current]") ?? all;
  tabs.scrollLeft = tab.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
}

// grid puts every camera's tile in its place and the screens into the tiles.
function grid() {
  [...cameras.values()].forEach((c, i) => {
    if (c.screen.root.parentNode !== c.tile) c.tile.prepend(c.screen.root);
    if (main.children[i] !== c.tile) main.insertBefore(c.tile, main.children[i] ?? null);
  });
  arrange();
}

// arrange makes the tiles as large as they can be while all are in view; below a
// size that shows anything, the page scrolls instead.
function arrange() {
  if (shown !== "grid") return;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const style = getComputedStyle(main), gap = parseFloat(style.columnGap) || 0;
  const width = main.clientWidth - 2 * parseFloat(style.paddingLeft), height = innerHeight - main.offsetTop - 2 * parseFloat(style.paddingTop);
  const caption = 3.2 * rem, n = cameras.size;
  const least = Math.min(width, 16 * rem);
  let best = { tile: 0, columns: 1 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const wide = (width - (columns - 1) * gap) / columns;
    const tile = Math.min(wide, (((height - (rows - 1) * gap) / rows - caption) * 4) / 3);
    if (tile > best.tile) best = { tile, columns };
  }
  if (best.tile < least) {
    best.columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
    best.tile = (width - (best.columns - 1) * gap) / best.columns;
  }
  main.style.setProperty("--columns", best.columns);
  main.style.setProperty("--tile", `${Math.floor(best.tile)}px`);
}
addEventListener("resize", arrange);

function empty() {
  return element("section", { class: "empty" }, element("h2", {}, "No camera yet"), connect.guide());
}

// add makes a camera's parts. Cameras are in the order of their names, whichever
// came first, so that each stays in its place.
function add(name) {
  const path = `cameras/${encodeURIComponent(name)}`;
  const c = { name, path, screen: new Screen(name, path) };
  c.facts = element("span", { class: "tile-facts" });
  c.tile = element("a", { class: "tile", href: `#/${encodeURIComponent(name)}` },
    c.screen.root, element("span", { class: "tile-name" }, element("b", {}, name), c.facts));
  c.tab = element("a", { href: `#/${encodeURIComponent(name)}` }, name);
  const sorted = [...cameras.values(), c].sort((a, b) => order.compare(a.name, b.name));
  cameras.clear();
  for (const c of sorted) {
    cameras.set(c.name, c);
    tabs.append(c.tab);
  }
  return c;
}

function remove(c) {
  if (shown instanceof Detail && shown.camera === c) {
    shown.close();
    shown = undefined;
  }
  c.screen.close();
  c.tile.remove();
  c.tab.remove();
  cameras.delete(c.name);
}

function facts(s) {
  if (!s.connected) return "not connected";
  return [s.wire === "v0" && "v0", s.live.width > 0 ? `${s.live.width}×${s.live.height} ${s.live.format}` : s.live.format, s.live.mbit_per_s > 0 && `${number(s.live.mbit_per_s)} Mbit/s`].filter(Boolean).join(" · ");
}

// --- asking the receiver ---

async function refresh() {
  let list;
  try {
    list = await json("cameras", { signal: AbortSignal.timeout(5000) });
  } catch (e) {
    if (e.status === 401) { // the login is over, or the receiver has another token
      location.assign("login");
      return;
    }
    const what = e.status ? `The receiver refuses: ${e.message}` : "Connection to the receiver lost. Trying again; the page goes on by itself when it is back.";
    if (reachable !== false || lost.textContent !== what) {
      lost.textContent = what;
      lost.hidden = false;
      text(status, "not connected");
      status.className = "bad";
      main.classList.add("stale");
    }
    reachable = false;
    for (const c of cameras.values()) {
      c.status = undefined;
      c.screen.update(undefined);
    }
    return;
  }
  if (!reachable) connect.ask(); // also when another receiver answers now
  if (reachable === false) {
    for (const c of cameras.values()) c.screen.live.retry();
    if (shown instanceof Detail) shown.restart();
  }
  reachable = true;
  lost.hidden = true;
  main.classList.remove("stale");
  for (const s of list) {
    const c = cameras.get(s.name) ?? add(s.name);
    c.status = s;
    c.screen.update(s);
    text(c.facts, facts(s));
    if (c.tab.classList.contains("off") === s.connected) {
      c.tab.classList.toggle("off", !s.connected);
      centre();
    }
  }
  for (const c of [...cameras.values()]) if (!list.some((s) => s.name === c.name)) remove(c);
  const n = list.filter((s) => s.connected).length;
  text(status, list.length === 0 ? "no camera" : n === list.length ? (n === 1 ? "live" : `${n} live`) : `${n} of ${list.length} live`);
  status.className = list.length === 0 ? "" : n === list.length ? "good" : "bad";
  tabs.hidden = list.length < 2;
  show();
  if (shown instanceof Detail) shown.update(shown.camera.status);
  if (shown instanceof Experiments) shown.update();
}

async function run() {
  for (;;) {
    try {
      await refresh();
    } catch (e) {
      console.error(e); // a mistake of ours, which is not to end the page's life
    }
    await new Promise((r) => setTimeout(r, document.hidden ? 2000 : 500));
  }
}

// --- dark and light ---

const themes = ["auto", "dark", "light"];
function theme(name) {
  document.documentElement.dataset.theme = name;
  if (shown instanceof Detail) shown.recolour();
}
theme(themes.includes(remember("theme")) ? remember("theme") : "auto");
function nextTheme() {
  const name = themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % themes.length];
  remember("theme", name);
  theme(name);
  document.getElementById("theme").title = `${name === "auto" ? "as the system" : name} (T)`;
}
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => theme(document.documentElement.dataset.theme));
document.getElementById("theme").addEventListener("click", nextTheme);
document.getElementById("help").addEventListener("click", () => keys.showModal());
const keysOn = document.getElementById("keys-on");
keysOn.checked = remember("keys") !== "off";
keysOn.addEventListener("change", () => remember("keys", keysOn.checked ? "on" : "off"));
keys.addEventListener("click", (e) => e.target === keys && keys.close());

// --- keyboard ---

function step(by) {
  const names = [...cameras.keys()];
  if (names.length === 0) return;
  const at = shown instanceof Detail ? names.indexOf(shown.camera.name) : by > 0 ? -1 : 0;
  go(names[(at + by + names.length) % names.length]);
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || keys.open || connect.open || e.target.closest?.("input, select, textarea")) return;
  const detail = shown instanceof Detail ? shown : undefined;
  const onButton = e.target.closest?.("button, a, summary");
  const actions = {
    "?": () => keys.showModal(),
    t: nextTheme,
    ArrowLeft: () => detail && step(-1),
    ArrowRight: () => detail && step(1),
    e: () => (location.hash = "#experiments"),
    Escape: () => detail?.leaveFull() ? undefined : shown instanceof Experiments ? go("") : detail && !document.fullscreenElement && cameras.size > 0 && go(""),
    f: () => detail?.fullscreen(),
    r: () => detail?.rotate(),
    s: () => detail?.snapshot(),
    v: () => detail?.record(),
    h: () => detail ? detail.figuresInPicture() : document.body.classList.toggle("nohud"),
    c: () => detail?.focusControls(),
    " ": () => !onButton && detail?.freeze(),
  };
  const key = e.key.length === 1 ? e.key.toLowerCase() : e.key;
  if (!keysOn.checked && key !== "Escape") return;
  if (/^[1-9]$/.test(key)) {
    const name = [...cameras.keys()][key - 1];
    if (name) go(name);
    return;
  }
  if (!actions[key] || (key === " " && onButton)) return;
  actions[key]();
  if (key !== "Escape") e.preventDefault();
});

addEventListener("hashchange", () => {
  if (!/^#\//.test(location.hash) && !labWanted()) return; // "#main"
  show();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});

run();
