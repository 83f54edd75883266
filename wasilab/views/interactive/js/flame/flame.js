// The flame graph of the guest's stacks, by host time, calls or bytes. A frame filters the calls; the arrow keys walk.

import { bytes, duration, el, number } from "../data/words.js";
import { pressed } from "../maps/tree.js";
import { flame, frame } from "./layout.js";

const TALL = 20, DEEPEST = 60;

export class Flame {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    /** @type {import("./layout.js").Frame[]} */
    this.frames = [];
    this.now = 0;
    this.without = 0;
    this.weight = el("select", { "aria-label": "Weighed by", onchange: () => this.paint() }, el("option", { value: "time" }, "by host time"), el("option", { value: "calls" }, "by calls"), el("option", { value: "bytes" }, "by bytes"));
    this.words = el("span", { class: "quiet" });
    this.box = el("div", { class: "flame", role: "tree", "aria-label": "Functions of the guest and their calls", onclick: (/** @type {MouseEvent} */ event) => this.click(event), onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) });
    this.element = el("section", { class: "stacks" }, el("div", { class: "transport" }, this.weight, this.words), this.box);
  }

  /** @param {boolean} open */
  toggled(open) {
    if (open) this.load();
  }

  /** The run changed. */
  reset() {
    if (!this.element.hidden) this.load();
  }

  async load() {
    let stacks = this.view.model.get("_maps")?.stacks;
    if (!stacks)
      try {
        stacks = (await this.view.asker.ask("maps")).content.maps.stacks;
      } catch (error) {
        return this.box.replaceChildren(el("p", { class: "quiet" }, `No stacks: ${/** @type {Error} */ (error).message}.`));
      }
    this.frames = stacks.frames.map(frame);
    this.without = stacks.without;
    this.now = 0;
    this.paint();
  }

  paint() {
    const weight = this.weight.value, places = flame(this.frames, weight), tone = this.view.store.meta.colours;
    const deepest = Math.min(Math.max(0, ...places.map(({ at }) => this.frames[at].depth)), DEEPEST);
    this.box.style.height = `${(deepest + 1) * TALL}px`;
    this.box.replaceChildren(...places.filter(({ at }) => this.frames[at].depth <= DEEPEST).map(({ at, left, width }) => {
      const one = this.frames[at], told = `${one.name}${one.place ? ` (${one.place})` : ""}: ${duration(one.time)} in the host, ${number(one.calls)} calls, ${bytes(one.bytes)}${one.refused ? `, ${number(one.refused)} refused` : ""}`;
      return el("button", { class: `frame${one.folder ? "" : " leaf"}${one.refused ? " bad" : ""}`, role: "treeitem", "aria-level": one.depth + 1, "data-at": at, tabIndex: at === this.now ? 0 : -1, title: told, "aria-label": told,
        style: `left:${(100 * left).toFixed(3)}%;width:${(100 * width).toFixed(3)}%;top:${one.depth * TALL}px;${one.folder ? "" : `border-left-color:${tone.fd}`}` }, one.name);
    }));
    this.words.textContent = !this.frames.some((one) => one.folder) ? "No stacks were taken: run with --stacks. These are the calls by name." : `Choose a frame to see only its calls.${this.without ? ` ${number(this.without)} calls without a stack.` : ""}`;
    if (!places.length) this.box.append(el("p", { class: "quiet" }, "Nothing to weigh."));
  }

  /** @param {MouseEvent} event */
  click(event) {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-at]"));
    if (!button) return;
    this.now = Number(button.dataset.at);
    this.view.filtering.apply(this.frames[this.now].term);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const deeper = { ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft", ArrowRight: "ArrowDown", ArrowLeft: "ArrowUp" }[event.key] ?? event.key;
    let to = pressed(this.frames, new Set(), this.now, deeper);
    if (deeper === "ArrowLeft") for (to = this.now - 1; to > 0 && this.frames[to].depth >= this.frames[this.now].depth; ) to -= 1;
    const button = this.box.querySelector(`[data-at="${to}"]`);
    if (!button) return;
    event.preventDefault();
    event.stopPropagation();
    this.box.querySelector(`[data-at="${this.now}"]`)?.setAttribute("tabindex", "-1");
    this.now = to;
    button.tabIndex = 0;
    button.focus();
  }
}
