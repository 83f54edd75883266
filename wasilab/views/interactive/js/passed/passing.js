// What a person does with the arrows of passed descriptors: point at one, choose one, step from one to the next by key.

import { Arrows } from "./arrows.js";
import { el, number } from "../data/words.js";

export class Passing {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.arrows = new Arrows(view.store, view.painter);
    this.button = el("button", { hidden: true, onclick: (/** @type {MouseEvent} */ event) => this.step(event.shiftKey ? -1 : 1) });
  }

  /** The lanes were arranged, or the calls are others. @param {import("../lanes.js").LanesOfFlow} [lanesOf] */
  arranged(lanesOf) {
    const { arrows } = this, { passed } = this.view.store.meta, count = arrows.flows.length;
    arrows.lanesOf = lanesOf;
    if (arrows.chosen >= count) arrows.chosen = -1;
    this.button.hidden = !count;
    if (!passed) return;
    const given = passed.rows.filter((flow) => flow[7]).length + passed.more, title = `Descriptors that instances passed to each other${passed.more ? `; the first ${number(count)} are drawn` : ""}: go to the next (P)`;
    Object.assign(this.button, { textContent: `⤵ ${number(given)} passed`, title });
    this.button.setAttribute("aria-label", `${this.button.textContent}. ${title}`);
  }

  /** @param {number} x @param {number} y @returns {boolean} whether the pointer is on an arrow */
  hover(x, y) {
    const { arrows, view } = this, at = x < 0 ? -1 : arrows.at(view.navigator.view, x, y);
    if (at !== arrows.hover) view.soon();
    arrows.hover = at;
    if (at >= 0) this.tell(at, x, y);
    return at >= 0;
  }

  /** The tooltip of an arrow. @param {number} at @param {number} x @param {number} y */
  tell(at, x, y) {
    const [title, ...lines] = this.arrows.words(at);
    this.view.tip.replaceChildren(el("div", { class: "tip-name" }, title), ...lines.map((line) => el("div", { class: "quiet" }, line)));
    this.view.placeTip(x, y);
  }

  /** A click: whether it was on an arrow, which is chosen then. @param {number} x @param {number} y */
  click(x, y) {
    const at = this.arrows.at(this.view.navigator.view, x, y);
    if (at >= 0) this.choose(at);
    return at >= 0;
  }

  /** Go to the next or previous one that was passed. @param {number} by */
  step(by) {
    const { arrows, view } = this, count = arrows.flows.length;
    if (!count) return view.say("No descriptor was passed on.");
    const from = arrows.chosen >= 0 ? arrows.chosen + by : arrows.firstAt(view.navigator.view.from) - (by > 0 ? 0 : 1);
    this.choose((from + count) % count);
  }

  /** @param {number} at -1 lets go */
  choose(at) {
    const { arrows, view } = this, { navigator, painter } = view;
    arrows.chosen = at;
    view.soon();
    if (at < 0) return;
    if (!arrows.lanesOf) view.arrangeBy("fd");
    if (navigator.view.pinned >= 0) view.choose(-1);
    const ns = arrows.flows[at][0], { from, to } = navigator.view, half = (to - from) / 2;
    if (ns < from || ns > to) navigator.look(ns - half, ns + half);
    const lanes = (arrows.lanesOf?.(arrows.flows[at]) ?? []).filter((lane) => lane >= 0), top = Math.min(...lanes) * painter.laneHeight;
    if (lanes.length && (top < navigator.view.scroll || (Math.max(...lanes) + 2) * painter.laneHeight > navigator.view.scroll + painter.height)) navigator.scrollTo(Math.max(0, top - painter.laneHeight));
    const curve = arrows.place(navigator.view, at);
    if (curve) this.tell(at, curve.x, Math.max(0, Math.min(Number.isNaN(curve.to) ? curve.from : Math.max(curve.from, curve.to), painter.height)));
    view.say(`${number(at + 1)} of ${number(arrows.flows.length)} passed: ${arrows.words(at).join("; ")}${arrows.flows[at][10] >= 0 ? ". Enter: the call" : ""}`);
  }

  /** Let go of the chosen one. @returns {boolean} whether there was one */
  release() {
    if (this.arrows.chosen < 0) return false;
    this.choose(-1);
    this.view.tip.hidden = true;
    this.view.say("");
    return true;
  }

  /** Pin the call that passed the chosen one. @returns {boolean} whether there is one */
  open() {
    const row = this.arrows.chosen < 0 ? -1 : this.arrows.flows[this.arrows.chosen][10];
    if (row < 0) return false;
    this.view.chooseRow(row);
    return true;
  }
}
