// The notes of a trace: written on a call, or on a range of calls, listed, changed and removed. They are part of the model,
// so the notebook saves them, and Python puts them into the trace.

import { changed, keyOf, listed, typedSpan } from "./spans.js";
import { el, number } from "../data/words.js";

export class Notes {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.calls = el("input", { type: "text", class: "note-calls", placeholder: "calls, such as 3-9", "aria-label": "Calls of the new note", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) });
    this.text = el("input", { type: "text", class: "note", maxLength: 500, placeholder: "what is to be remembered of them", "aria-label": "Text of the new note", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) });
    this.list = el("ul", { class: "note-list", "aria-label": "Notes" });
    this.element = el("section", { class: "notes" },
      el("p", { class: "quiet hint" }, "Notes on calls and ranges are kept with the trace, in the notebook and in saved files. Select a range of time (Shift+drag) to write on it, or name calls here."),
      el("div", { class: "note-new" }, this.calls, this.text, el("button", { onclick: () => this.add() }, "Add note")), this.list);
  }

  /** @returns {Record<string, string>} */
  get notes() {
    return this.view.model.get("notes") ?? {};
  }

  /** @param {boolean} open */
  toggled(open) {
    if (!open) return;
    const { pinned } = this.view.navigator.view;
    if (pinned >= 0 && !this.calls.value) this.calls.value = String(pinned + this.view.store.first + this.view.store.meta.dropped);
    this.paint();
  }

  /** The notes changed. */
  reset() {
    if (!this.element.hidden) this.paint();
    this.view.soon();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    event.stopPropagation();
    if (event.key === "Enter") this.add();
  }

  add() {
    const { store } = this.view, span = typedSpan(this.calls.value, store.meta.dropped, store.meta.calls);
    if (typeof span === "string") {
      this.calls.setAttribute("aria-invalid", "true");
      this.calls.focus();
      return this.view.say(span, true);
    }
    this.calls.removeAttribute("aria-invalid");
    if (!this.text.value.trim()) return this.text.focus();
    this.write(keyOf(span.first, span.last), this.text.value);
    this.text.value = "";
  }

  /** @param {string} key @param {string} text "" removes the note */
  write(key, text) {
    this.view.model.set("notes", changed(this.notes, key, text));
    this.view.model.save_changes();
    this.view.say(text.trim() ? "The note is kept with the trace." : "The note was removed.");
    this.reset();
  }

  /** Write a note on the calls of a range of time. @param {[number, number]} range ns @param {string} text */
  onRange([from, to], text) {
    const { store } = this.view, low = store.firstAt(from), high = store.firstAt(to) - 1;
    if (high >= low && text.trim()) this.write(keyOf(low + store.first, high + store.first), text);
  }

  paint() {
    const { store } = this.view, notes = listed(this.notes);
    this.list.replaceChildren(...notes.slice(0, 500).map(({ key, first, last, text }) => {
      const shown = [first, last].map((row) => number(row + store.meta.dropped)), words = first === last ? `call ${shown[0]}` : `calls ${shown[0]} to ${shown[1]}`;
      return el("li", {},
        el("button", { class: "link", title: `Show ${words}`, onclick: () => this.show(first, last) }, words),
        el("input", { type: "text", class: "note", maxLength: 500, value: text, "aria-label": `Note on ${words}`, onchange: (/** @type {any} */ event) => this.write(key, event.target.value), onkeydown: (/** @type {KeyboardEvent} */ event) => event.stopPropagation() }),
        el("button", { title: `Remove the note on ${words}`, "aria-label": `Remove the note on ${words}`, onclick: () => this.write(key, "") }, "×"));
    }));
    if (!notes.length) this.list.append(el("li", { class: "quiet" }, "No note yet."));
  }

  /** Bring the calls of a note into sight. @param {number} first @param {number} last rows of the trace */
  async show(first, last) {
    const { view } = this, { store, navigator } = view;
    if (first === last) return view.chooseRow(first);
    if (!(await view.hold(first))) return;
    const low = first - store.first, high = Math.min(last - store.first, store.length - 1), from = store.start[low], to = store.end(high), margin = (to - from) * 0.05 + 20;
    navigator.look(from - margin, to + margin);
    navigator.view.selection = [from, to + 1];
    view.select();
    view.table.reveal(low);
  }
}
