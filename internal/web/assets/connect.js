// Connect shows who may change things how another camera is connected: the command,
// and where the receiver asks for a token, the connect string and its QR code.

import { json, text } from "./dom.js";

export class Connect {
  constructor() {
    this.button = document.getElementById("connect");
    this.box = document.getElementById("connect-box");
    this.command = document.getElementById("connect-command");
    this.code = document.getElementById("connect-code");
    this.note = document.getElementById("connect-note");
    this.copy = document.getElementById("connect-copy");
    this.mayChange = true; // until the receiver says otherwise
    this.button.addEventListener("click", () => this.show());
    this.copy.addEventListener("click", () => this.copied());
    this.box.addEventListener("click", (e) => e.target === this.box && this.box.close());
    // The string is a secret: it is in the page only while the dialog is open.
    this.box.addEventListener("close", () => {
      text(this.command, "");
      this.code.removeAttribute("src");
      this.code.hidden = true;
    });
  }

  get open() {
    return this.box.open;
  }

  // ask learns what whoever looks may do here.
  async ask() {
    try {
      const me = await json("me");
      this.mayChange = me.may_change;
      this.token = me.connect;
      this.button.hidden = !me.may_change;
    } catch {
      // an older receiver, or one that is gone: the page tries again when it is back
    }
  }

  async show() {
    let command = `framepipe send ${location.hostname}`;
    text(this.note, "The camera shows up here by itself.");
    if (this.token) {
      try {
        command = `framepipe send ${(await json("connect")).connect}`;
        this.code.src = "connect.png";
        this.code.hidden = false;
        text(this.note, "Whoever has this string can send pictures here, and not look. It holds the token and the receiver's certificate.");
      } catch (e) {
        text(this.note, e.message);
      }
    }
    text(this.command, command);
    text(this.copy, "Copy");
    this.copy.hidden = !navigator.clipboard; // secure contexts only
    this.box.showModal();
  }

  async copied() {
    try {
      await navigator.clipboard.writeText(this.command.textContent);
      text(this.copy, "Copied");
    } catch {
      getSelection().selectAllChildren(this.command);
    }
  }
}
