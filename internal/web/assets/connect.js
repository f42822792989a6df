// Connect tells how a camera gets to this receiver: the command for the camera's
// machine, and where the receiver asks for a token, the connect string and its QR code.

import { element, json, text } from "./dom.js";

let cameras = { address: location.hostname }; // until the receiver says how it is reached
let token = false;

// sendCommand is what is typed on a camera's machine.
export const sendCommand = () => (token ? "framepipe send, with the connect string" : `framepipe send ${cameras.address}`);

// addressed writes this receiver's address into a command that leaves it open.
export const addressed = (line) => (token ? line : line.replace(/ RECEIVER$/, ` ${cameras.address}`));

// command shows something to type, and copies it.
export function command(line, id) {
  const code = element("code", { class: "command", tabindex: 0, id }, line);
  const button = element("button", { type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(code.textContent); // secure contexts only
    } catch {
      getSelection().selectAllChildren(code);
      done = document.execCommand("copy");
    }
    text(button, done ? "Copied" : "Marked");
  });
  return element("div", { class: "typed" }, code, button);
}

const note = (...children) => element("p", { class: "dim" }, ...children);
const small = (line) => element("code", { class: line.length < 16 && "short" }, line);

export class Connect {
  // changed is called when the receiver has said how cameras get to it.
  constructor(changed) {
    this.changed = changed;
    this.button = document.getElementById("connect");
    this.box = document.getElementById("connect-box");
    this.content = document.getElementById("connect-guide");
    this.out = document.getElementById("logout");
    this.mayChange = true; // until the receiver says otherwise
    this.button.addEventListener("click", () => this.show());
    this.out.addEventListener("click", () => this.leave());
    this.box.addEventListener("click", (e) => e.target === this.box && this.box.close());
    // The string is a secret: it is in the page only while the dialog is open.
    this.box.addEventListener("close", () => this.content.replaceChildren());
  }

  get open() {
    return this.box.open;
  }

  // ask learns what whoever looks may do here.
  async ask() {
    try {
      const me = await json("me");
      this.mayChange = me.may_change;
      token = me.token ?? me.connect;
      if (me.cameras) cameras = me.cameras;
      this.button.hidden = !me.may_change;
      this.out.hidden = !me.token;
      this.changed();
    } catch {
      // an older receiver, or one that is gone: the page tries again when it is back
    }
  }

  async leave() {
    try {
      await fetch("logout", { method: "POST" });
    } finally {
      location.assign("login");
    }
  }

  // guide is what to do, for who has no camera here yet.
  guide() {
    if (token) {
      return element("div", { class: "guide" }, element("p", {}, "Cameras need this receiver's connect string."),
        this.mayChange ? element("p", {}, element("button", { type: "button", class: "primary", onclick: () => this.show() }, "Show it, and its QR code")) : undefined,
        note("The picture shows up here by itself."));
    }
    return element("div", { class: "guide" }, element("p", {}, "On the camera's machine, a Raspberry Pi or any Linux computer:"), ...this.steps());
  }

  steps() {
    const line = `framepipe send ${cameras.address}`;
    return [command(line, "connect-command"),
      cameras.local
        ? note("Only cameras of the receiver's own machine get here: it listens on this address alone. Without ", small("--listen"), " it is there for others, too.")
        : cameras.name ? note("Or just ", small("framepipe send"), `: it finds this receiver, ${cameras.name}, on its own network.`) : undefined,
      note("The picture shows up here by itself. framepipe is one file: the build for that machine's processor is copied there, and nothing is installed."),
      note("No camera at hand? ", small(`${line} --source pattern`), " sends a synthetic one.")].filter(Boolean);
  }

  async show() {
    let content;
    if (token) {
      try {
        const all = await json("connect");
        content = [element("p", {}, "On the camera's machine:"), command(`framepipe send ${all.connect}`, "connect-command"),
          element("img", { id: "connect-code", src: "connect.png", alt: "the connect string as a QR code" }),
          note("Whoever has this string can send pictures here, and not look. It holds the token and the receiver's certificate.")];
      } catch (e) {
        content = [element("p", { class: "answer bad" }, e.message)];
      }
    } else {
      content = [element("p", {}, "On the camera's machine, a Raspberry Pi or any Linux computer:"), ...this.steps()];
    }
    this.content.replaceChildren(...content);
    if (!this.box.open) this.box.showModal();
  }
}
