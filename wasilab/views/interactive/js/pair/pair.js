// Two runs on one axis: combines two stores, the painter, the navigator and the list of differences in one shadow root,
// and communicates with Python (views/interactive/pair_widget.py). An ES module for anywidget; it sends requests only to the kernel.

import { Asker, asView } from "../data/ask.js";
import { split } from "../data/store.js";
import { el, number } from "../data/words.js";
import { Navigator } from "../navigate.js";
import { retheme } from "../theme.js";
import { CALL, Side } from "./axis.js";
import { Differences, pairCards } from "./differences.js";
import { HalvesPainter } from "./halves.js";

/** @typedef {import("../data/ask.js").Model} Model @typedef {import("./differences.js").Pair} Pair */
/**
 * @typedef {Object} Pairing made by views/interactive/pair_widget.py
 * @property {any[]} sides  what is not a column of each run @property {[string, string]} names
 * @property {string} headline @property {string[]} remarks @property {number} rows of the difference @property {number} differences
 * @property {Record<string, [string, string]>} signs  kind -> sign and word @property {number} most calls of each run that are shown
 */

/** Bytes an entry of each column, in the order of the wire. */
const SIZES = [8, 4, 4, 1, 1, 1, 1, 4, 1];

export class PairView {
  /** @param {Model} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    this.host = host;
    /** @type {Pairing} */
    const meta = (this.meta = model.get("_meta"));
    /** @type {[Side, Side]} */
    this.sides = [new Side(meta.rows), new Side(meta.rows)];
    for (const [at, side] of this.sides.entries()) Object.assign(side.store.meta, meta.sides[at], { ended: meta.sides[at].span });
    this.axis = "time";
    this.row = -1; // of the difference
    /** @type {number | undefined} */
    this.frameRequest = undefined;
    /** Milliseconds that the last frames took to draw, for measurements. @type {number[]} */
    this.paintTimes = [];
    host.setAttribute("data-lm-suppress-shortcuts", "true");
    const root = host.attachShadow({ mode: "open" });
    root.append(el("style", { textContent: model.get("_style") }));
    this.status = el("div", { class: "status quiet", role: "status", "aria-live": "polite" });
    this.asker = new Asker(model, (waiting) => this.say(waiting ? "Waiting for the kernel: it is busy, or not running. What was saved is shown." : ""));
    this.canvas = el("canvas", { class: "main", tabIndex: 0, role: "application" });
    this.minimap = el("canvas", { class: "minimap", "aria-hidden": "true" });
    this.painter = new HalvesPainter(this.canvas, this.minimap, this.sides);
    this.painter.signs = meta.signs;
    this.tip = el("div", { class: "tip", role: "tooltip", hidden: true });
    this.navigator = new Navigator(this.sides[0].store, this.painter, {
      changed: () => this.soon(), choose: (row) => this.choose(row), hovered: (row, x, y) => this.hover(row, x, y), selected: () => (this.navigator.view.selection = null),
      step: (by) => this.step(by), search: () => {}, escape: () => this.choose(-1), hint: () => this.say("Click the lanes to zoom with the wheel, or hold Ctrl."),
      ask: () => {}, travel: { open: false, step: () => {}, play: () => {}, toTime: () => {} } });
    this.list = new Differences((row) => this.choose(row));
    this.cards = el("div", { class: "pair-cards", "aria-live": "polite", hidden: true });
    this.frame = el("div", { class: "stage" }, this.canvas, this.tip);
    this.root = el("div", { class: "wasilab pair", role: "region", "aria-label": "Two runs on one axis", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      this.choose(-1);
      this.canvas.focus({ preventScroll: true });
    } }, ...this.makeHead(), this.minimap, this.frame, this.status, this.cards, this.list.element,
      ...meta.remarks.map((line) => el("p", { class: "quiet remark" }, line)));
    root.append(this.root);
    this.list.fill(model.get("_rows"), meta.signs, meta.differences);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.root);
    this.themes = new MutationObserver(() => this.retheme());
    for (const node of [document.documentElement, document.body]) this.themes.observe(node, { attributes: true });
    this.arrange();
    const saved = model.get("_columns") ?? [];
    for (const [at, data] of saved.entries()) if (data?.byteLength) this.sides[at].append(split(asView(data), meta.sides[at].calls, SIZES), meta.sides[at].calls);
    this.retheme();
    this.place();
    this.navigator.fit();
    this.say("");
    this.fetchCalls();
  }

  /** @returns {HTMLElement[]} the headline, the legend and the controls */
  makeHead() {
    const { meta } = this, [first, second] = meta.names;
    const button = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ act) => el("button", { title, "aria-label": title, onclick: act }, label);
    this.axes = el("select", { "aria-label": "Axis", title: "Axis", onchange: () => this.setAxis(this.axes.value) }, el("option", { value: "time" }, "by time"), el("option", { value: "calls" }, "call by call"));
    this.step_ = el("span", { class: "place quiet" });
    const keys = [["changed", "differs"], ["removed", `only in ${first}`], ["added", `only in ${second}`]];
    return [
      el("div", { class: `verdict ${meta.differences ? "warn" : "good"}`, role: "status" }, meta.headline),
      el("p", { class: "pair-legend" }, "above: ", el("bdi", {}, first), ", below: ", el("bdi", {}, second), ...keys.map(([kind, words]) => el("span", { class: "pair-key" }, el("b", { class: kind, "aria-hidden": "true" }, meta.signs[kind][0]), ` ${words}`))),
      el("div", { class: "bar", role: "toolbar", "aria-label": "Controls" },
        button("Fit", "Show both runs whole (F)", () => this.navigator.fit()), button("+", "Zoom in (W)", () => this.navigator.zoom(0.6, this.navigator.middle)),
        button("−", "Zoom out (S)", () => this.navigator.zoom(1 / 0.6, this.navigator.middle)), this.axes,
        button("‹", "Previous difference (left arrow)", () => this.step(-1)), this.step_, button("›", "Next difference (right arrow)", () => this.step(1))),
    ];
  }

  close() {
    this.sizes.disconnect();
    this.themes.disconnect();
    this.asker.close();
    cancelAnimationFrame(this.frameRequest ?? 0);
  }

  /** @param {string} words "" for what there is to say at rest @param {boolean} [wrong] */
  say(words, wrong = false) {
    const { sides, most } = this.meta, cut = sides.some((/** @type {any} */ side) => side.whole > most);
    this.status.textContent = words || (cut ? `Of each run the first ${number(most)} calls are shown; all were compared. ` : "") + (this.loading ? "The calls come from the kernel." : "Keys: W and S zoom, A and D pan, F fits, ← and → step through the differences, Escape lets go.");
    this.status.classList.toggle("wrong", wrong);
    this.step_.textContent = this.row >= 0 && this.list.at >= 0 ? `${number(this.list.at + 1)} of ${number(this.meta.differences)}` : `${number(this.meta.differences)} difference${this.meta.differences === 1 ? "" : "s"}`;
    this.canvas.setAttribute("aria-label", `Two runs on one axis: ${this.meta.headline}. Arrows step through the differences.`);
  }

  arrange() {
    const { store } = this.sides[0], { colours, families } = store.meta;
    this.painter.lanes = [{ label: "guest", colour: colours.guest }, ...families.map((/** @type {string} */ family) => ({ label: family, colour: colours[family] }))];
    for (const [at, side] of this.sides.entries()) {
      const names = Uint8Array.from(side.store.meta.names, (name) => name[1] + 1);
      this.painter.lods[at].arrange(this.painter.lanes.length, (row) => names[side.store.call[row]], "pair");
    }
  }

  /** Put both runs on the axis. */
  place() {
    const span = this.axis === "time" ? Math.max(...this.meta.sides.map((/** @type {any} */ side) => side.span), 1) : Math.max(this.meta.rows, 1) * CALL;
    for (const side of this.sides) side.place(this.axis, span);
    this.painter.axis = this.axis;
    this.resize();
  }

  /** @param {string} axis "time" or "calls" */
  setAxis(axis) {
    this.axis = this.axes.value = axis;
    this.place();
    this.navigator.fit();
    if (this.row >= 0) this.reveal(this.row);
  }

  /** Request the calls that are not saved in the notebook. */
  async fetchCalls() {
    try {
      for (const [at, side] of this.sides.entries())
        while (side.length < this.meta.sides[at].calls) {
          this.loading = true;
          const { content, buffers } = await this.asker.ask("calls", { side: at, first: side.length });
          if (!content.count) break;
          side.append(buffers, content.count);
          this.place();
          if (this.navigator.fitted) this.navigator.fit();
        }
      this.loading = false;
      this.say("");
    } catch (error) {
      this.loading = false;
      this.say(`The lanes need the kernel: ${/** @type {Error} */ (error).message}. The differences below were saved.`);
    }
  }

  resize() {
    const width = Math.floor(this.frame.clientWidth);
    if (width < 1) return;
    if (!this.painter.theme.bg) this.retheme();
    const height = Math.min(this.painter.contentHeight, 420);
    this.root.classList.toggle("narrow", width < 720);
    if (width !== this.painter.width || height !== this.painter.height) this.painter.resize(width, height, false);
    this.navigator.scrollBy(0);
    this.soon();
  }

  retheme() {
    retheme(this.host, this.root, this.painter.theme);
    this.soon();
  }

  soon() {
    this.frameRequest ??= requestAnimationFrame(() => {
      this.frameRequest = undefined;
      const begun = performance.now();
      if (this.painter.width) this.painter.paint(this.navigator.view);
      this.paintTimes.push(performance.now() - begun);
      if (this.paintTimes.length > 600) this.paintTimes.shift();
      this.root.dataset.painted = "yes";
    });
  }

  /** @param {number} row of the difference @param {number} x @param {number} y */
  hover(row, x, y) {
    const known = row >= 0 && row !== this.row;
    this.tip.hidden = !known;
    if (!known) return;
    const places = this.sides.map((side) => side.callOf(row)), at = places[0] >= 0 ? 0 : 1, told = this.list.rows.find((each) => each[0] === row);
    this.tip.replaceChildren(el("div", { class: "tip-name" }, this.sides[at].store.nameOf(places[at])),
      el("div", {}, told ? told[2] : places[0] >= 0 && places[1] >= 0 ? "in both" : `only in ${this.meta.names[at]}`), el("div", { class: "quiet" }, "Choose it to see both calls."));
    const room = this.painter.width;
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, room - this.tip.offsetWidth - 6))}px`;
    this.tip.style.top = `${Math.min(y + 18, this.painter.height - 20)}px`;
  }

  /** Bring the calls of a row into sight. @param {number} row */
  reveal(row) {
    const { view } = this.navigator, spans = this.sides.flatMap((side) => (side.callOf(row) >= 0 ? [[side.store.start[side.callOf(row)], side.store.end(side.callOf(row))]] : []));
    if (!spans.length) return;
    const from = Math.min(...spans.map((span) => span[0])), to = Math.max(...spans.map((span) => span[1])), width = view.to - view.from;
    if (from >= view.from && to <= view.to && ((to - from) / width) * this.painter.plot > 2) return;
    const wide = Math.max((to - from) * 1.6, Math.min(width, Math.max((to - from) * 40, this.axis === "calls" ? CALL * 24 : 2000)));
    this.navigator.look((from + to) / 2 - wide / 2, (from + to) / 2 + wide / 2);
  }

  /** Show both calls of a row of the difference, -1 for none. @param {number} row */
  async choose(row) {
    this.row = this.painter.row = row;
    this.tip.hidden = true;
    this.list.show(row);
    this.say("");
    if (row < 0) {
      this.cards.hidden = true;
      return this.soon();
    }
    this.reveal(row);
    this.soon();
    try {
      /** @type {Pair} */
      const pair = this.model.get("_details")?.[row] ?? (await this.asker.ask("pair", { row })).content.pair;
      if (this.row !== row) return;
      const [first, second] = this.sides;
      this.cards.hidden = false;
      this.cards.replaceChildren(
        el("div", { class: "inspector-head" }, el("b", { class: pair.kind, "aria-hidden": "true" }, this.meta.signs[pair.kind][0]), el("strong", {}, pair.words), el("span", { class: "grow" }),
          el("button", { title: "Close (Escape)", "aria-label": "Close", onclick: () => this.choose(-1) }, "×")),
        el("div", { class: "two" }, ...pairCards(pair, [first.store, second.store], this.meta.names, [first.time.start, second.time.start], [first.time.dur, second.time.dur])));
    } catch (error) {
      if (this.row === row) this.say(`No details: ${/** @type {Error} */ (error).message}.`, true);
    }
  }

  /** The next or previous difference. @param {number} by */
  async step(by) {
    const { rows } = this.list;
    if (!this.meta.differences) return;
    const at = this.list.at >= 0 && this.row >= 0 ? this.list.at + by : this.row < 0 ? (by > 0 ? 0 : rows.length - 1) : -1;
    if (at >= 0 && at < rows.length) return this.choose(rows[at][0]);
    if (at < 0 && this.list.at === 0) return;
    try {
      const { content } = await this.asker.ask("next", { row: Math.max(this.row, -1), by });
      if (content.row >= 0) this.choose(content.row);
    } catch (error) {
      this.say(/** @type {Error} */ (error).message, true);
    }
  }
}

export default {
  /** @param {{model: Model, el: HTMLElement}} context */
  render({ model, el: element }) {
    const host = document.createElement("div");
    host.className = "wasilab-timeline";
    host.dataset.key = model.get("_key") ?? ""; // the static form beside it hides while it is here (views/report/page.py)
    element.append(host);
    const view = new PairView(model, host);
    /** @type {any} */ (host).timeline = view;
    return () => view.close();
  },
};
