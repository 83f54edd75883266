// Travel in time: a cursor that is dragged, stepped or played, and beside it the state of the run at that moment. Stepping
// back costs what stepping forward costs: the state is derived from the record, one question at a time.

import { sourceLines } from "../inspector.js";
import { MemoryChanges } from "./memory.js";
import { differences, lastBefore, localState, timeOf } from "./state.js";
import { el, instant, number } from "../data/words.js";

/** @typedef {import("./state.js").State} State */

const FRAME = 140; // milliseconds between two steps of a run that is played
const STEPS = 250; // a run of more calls is played in so many steps

export class Travel {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.at = -1; // the call that had returned, counted from the first that the trace holds
    this.open = false;
    /** @type {Map<number, State>} */
    this.known = new Map();
    /** @type {State | null} */
    this.shown = null;
    this.asking = false;
    const button = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ act) => el("button", { title, "aria-label": title, onclick: act }, label);
    this.slider = el("input", { type: "range", min: 0, class: "time", "aria-label": "Moment: the last call that had returned", oninput: () => this.to(Number(this.slider.value)) });
    this.player = button("▶", "Play (space on the timeline)", () => this.play());
    this.words = el("span", { class: "quiet moment" });
    this.body = el("div", { class: "state", "aria-live": "off" });
    this.memory = new MemoryChanges(view);
    this.element = el("section", { class: "travel" },
      el("div", { class: "transport" }, button("|◂", "First call", () => this.to(0)), button("◂", "Back one call (, on the timeline)", () => this.step(-1)), this.player,
        button("▸", "On one call (. on the timeline)", () => this.step(1)), button("▸|", "Last call", () => this.to(this.last)), this.slider, this.words), this.body, this.memory.element);
  }

  get last() {
    return this.view.store.meta.calls - 1;
  }

  /** @param {boolean} open */
  toggle(open) {
    this.open = open;
    this.stop();
    const { pinned } = this.view.navigator.view;
    if (open && (this.at < 0 || pinned >= 0)) this.to(pinned >= 0 ? pinned + this.view.store.first : this.last);
    else if (open) this.to(this.at);
    this.view.soon();
  }

  /** The calls changed: other runs have other states. */
  reset() {
    this.known.clear();
    this.memory.reset();
    this.shown = null;
    if (this.open) this.to(Math.min(this.at, this.last));
  }

  /** Where the cursor is, ns; NaN while there is none. */
  get time() {
    return this.open && this.at >= 0 ? timeOf(this.view.store, this.at) : NaN;
  }

  /** @param {number} ns */
  toTime(ns) {
    this.to(lastBefore(this.view.store, ns));
  }

  /** @param {number} by calls; those that the filter hides are passed over */
  step(by) {
    const { store, lod } = this.view;
    let at = this.at + by;
    while (lod.hide && store.mask && at >= store.first && at < store.first + store.length && !store.mask[at - store.first]) at += Math.sign(by);
    this.to(at);
  }

  /** @param {number} at */
  to(at) {
    this.at = Math.max(0, Math.min(at, this.last));
    if (this.last < 0) this.at = -1;
    const { store } = this.view;
    this.slider.max = String(Math.max(this.last, 0));
    this.slider.value = String(Math.max(this.at, 0));
    this.words.textContent = this.at < 0 ? "no call yet" : `after call ${number(this.at + store.meta.dropped)}, ${instant(this.time, Math.max(store.span / 1e5, 1), store.span)}`;
    this.slider.setAttribute("aria-valuetext", this.words.textContent);
    this.view.table.reveal(this.at - store.first);
    this.view.soon();
    this.load();
    this.memory.to(this.at);
  }

  play() {
    if (this.timer) return this.stop();
    if (this.at >= this.last) this.to(0);
    const by = Math.max(1, Math.ceil(this.view.store.meta.calls / STEPS));
    this.player.textContent = "❚❚";
    this.timer = setInterval(() => {
      if (this.asking) return; // the kernel sets the pace
      if (this.at >= this.last) return this.stop();
      if (by > 1) this.to(this.at + by);
      else this.step(1);
    }, FRAME);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = 0;
    this.player.textContent = "▶";
  }

  /** Show the state at the cursor: one question at a time, and only for where the cursor is by then. */
  async load() {
    if (!this.open || this.at < 0) return this.body.replaceChildren(el("p", { class: "quiet" }, "No call, no state."));
    const { at } = this, known = this.known.get(at);
    if (known) return this.fill(known);
    if (this.asking) return;
    this.asking = true;
    let state;
    try {
      const { content } = await this.view.asker.ask("state", { row: at });
      state = content.state;
      if (this.known.size > 300) this.known.delete(/** @type {number} */ (this.known.keys().next().value));
      this.known.set(at, state);
    } catch {
      state = localState(this.view.store, at);
    }
    this.asking = false;
    if (this.at === at) this.fill(state);
    else this.load();
  }

  /** @param {State} state */
  fill(state) {
    const before = this.shown, open = new Set([...this.body.querySelectorAll("details[open]")].map((one) => /** @type {HTMLElement} */ (one).dataset.path));
    this.shown = state;
    /** @param {string} title @param {...any} content */
    const part = (title, ...content) => el("section", { "aria-label": title }, el("h3", {}, title), ...content);
    const parts = [
      el("p", { class: "mono call", dir: "ltr", title: state.call }, state.call),
      part(`Open descriptors (${state.descriptors.length + state.more.descriptors})`, this.descriptors(state, before)),
      ...(state.grants.length ? [part("Capabilities", grantRows(state, before))] : []),
      ...(state.files.length ? [part(`Files (${state.files.length + state.more.files})`, ...fileRows(state, before, open))] : []),
      ...[["stdout", state.stdout], ["stderr", state.stderr]].flatMap(([name, [much, text]]) => (much ? [part(`${name}, ${much}`, el("pre", { dir: "ltr", tabIndex: 0, "aria-label": `${name} so far` }, text))] : [])),
      ...(state.source ? [part(`Source: ${state.source[0]}, line ${state.source[1]}`, sourceLines(state.source))] : []),
    ];
    if (state.partial) parts.push(el("p", { class: "quiet" }, "Without the kernel: offsets, rights, files and grants are not shown."));
    this.body.replaceChildren(...parts);
    for (const block of this.body.querySelectorAll("pre")) if (block.className !== "source") block.scrollTop = block.scrollHeight;
  }

  /** @param {State} state @param {State | null} before */
  descriptors(state, before) {
    const fresh = before ? differences(before.descriptors, state.descriptors) : new Set();
    const several = state.descriptors.some((one) => one[6]); // instances, each with numbers of its own
    return el("div", { class: "wide" }, el("table", {},
      el("thead", {}, el("tr", {}, ...[...(several ? ["instance"] : []), "fd", "path", "offset", "rights"].map((name) => el("th", { class: name === "fd" || name === "offset" ? "n" : null }, name)))),
      el("tbody", {}, ...state.descriptors.map(([life, fd, path, kind, offset, rights, instance]) =>
        el("tr", { class: fresh.has(life) ? "fresh" : null }, several ? el("td", { class: "instance", dir: "ltr", title: instance }, instance) : null, el("td", { class: "n" }, fd),
          el("td", { class: "mono", dir: "ltr" }, el("button", { class: "link", title: `${kind || "descriptor"}: only its calls (handle=${life})`, onclick: () => this.view.filtering.apply(`handle=${life}`) }, path || kind)),
          el("td", { class: "n" }, offset), el("td", { class: "rights", title: rights }, rights))))));
  }
}

/** @param {State} state @param {State | null} before */
function grantRows(state, before) {
  const fresh = before ? differences(before.grants, state.grants) : new Set();
  return el("ul", { class: "grants" }, ...state.grants.map(([name, words, now]) => el("li", { class: fresh.has(name) ? "fresh" : null },
    el("span", { class: now === "revoked" ? "refused" : now === "read-only" ? "failed" : "ok" }, now === "revoked" ? "✖ revoked " : now === "read-only" ? "read-only " : "✔ "), el("span", { class: "mono", dir: "ltr" }, name), words ? el("span", { class: "quiet" }, ` ${words}`) : null)));
}

/** @param {State} state @param {State | null} before @param {Set<string | undefined>} open @returns {HTMLElement[]} */
function fileRows(state, before, open) {
  const fresh = before ? differences(before.files, state.files) : new Set();
  const rows = state.files.map(([path, size, change, text]) => {
    const line = [el("span", { class: "mono", dir: "ltr" }, path), el("span", { class: "quiet" }, ` ${size} `), change ? el("span", { class: change === "deleted" ? "refused" : "changed" }, change) : null];
    const name = `file${fresh.has(path) ? " fresh" : ""}`;
    return text || size === "0 B" ? el("details", { class: name, open: open.has(path), "data-path": path }, el("summary", {}, ...line), el("pre", { dir: "ltr", tabIndex: 0, "aria-label": `Contents of ${path}` }, text || "(empty)")) : el("div", { class: name }, ...line);
  });
  if (state.more.files) rows.push(el("p", { class: "quiet" }, `and ${number(state.more.files)} more`));
  return rows;
}
