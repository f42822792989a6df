// Small helpers that all parts of the page share.

// element makes one: attributes by name, "on…" as listeners; children follow.
export function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (k === "class") e.className = v;
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== undefined && c !== null));
  return e;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// text sets an element's text only if it differs: the page does so twice a second.
export function text(e, s) {
  if (e.textContent !== s) e.textContent = s;
}

// Figures for people. Unknown is a dash, never 0.
export const unknown = "–";
const absent = (v) => v === undefined || v === null || Number.isNaN(v);
export const number = (v, digits = 1) => (absent(v) ? unknown : v.toFixed(digits));
export const ms = (v) => (absent(v) ? unknown : v < 9.95 ? v.toFixed(1) : v < 9999.5 ? v.toFixed(0) : (v / 1000).toFixed(1) + "k");
export const fine = (v) => (absent(v) ? unknown : v < 1 ? v.toFixed(2) : v < 100 ? v.toFixed(1) : v.toFixed(0));
export const kilo = (v) => (absent(v) ? unknown : v < 99_950 ? (v / 1000).toFixed(1) : (v / 1000).toFixed(0));
export const count = (v) => (absent(v) ? unknown : v.toLocaleString("en"));
export const clockShort = (unix) => clock(unix).slice(0, -3);
export const words = (s) => s.replaceAll("_", " ");
export const clock = (unix) => new Date(unix * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

// bound writes "± error", and nothing where there is none.
export const bound = (v) => (absent(v) || v < 0.005 ? "" : ` ±${fine(v)}`);

export async function json(path, options = {}) {
  const r = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(20_000), ...options });
  const body = await r.text();
  let value;
  try {
    value = JSON.parse(body);
  } catch {
    value = undefined;
  }
  if (!r.ok) {
    const e = new Error(value?.error || body.trim() || r.statusText);
    e.hint = value?.hint;
    e.status = r.status;
    throw e;
  }
  return value;
}

// remember keeps a choice where the browser allows it.
export function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(`framepipe.${key}`);
    localStorage.setItem(`framepipe.${key}`, value);
  } catch {
    // private window
  }
  return null;
}
