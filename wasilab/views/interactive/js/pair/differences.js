// The differences of two runs as a list, and the two calls of one of them side by side. All text is set as text.

import { CallStore } from "../data/store.js";
import { breakable, bytes, duration, el, instant } from "../data/words.js";
import { ending, hexdump, sourceLines } from "../inspector.js";

/** @typedef {import("../inspector.js").Detail} Detail */
/**
 * @typedef {Object} Pair both calls of a row of the difference, made by views/interactive/pair_widget.py
 * @property {number} row @property {string} kind @property {string} words  how they differ
 * @property {[Detail | null, Detail | null]} sides @property {[number, number]} places  which call of each run, -1 for none
 */

/** The list of the first differences: a listbox whose options are pairs of calls. */
export class Differences {
  /** @param {(row: number) => void} choose */
  constructor(choose) {
    this.choose = choose;
    /** @type {[number, string, string, string, string][]} */
    this.rows = [];
    this.element = el("div", { class: "diff-list", role: "listbox", tabIndex: 0, "aria-label": "Differences", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) });
    this.at = -1;
  }

  /** @param {[number, string, string, string, string][]} rows row, kind, words, first call, second call @param {Record<string, [string, string]>} signs @param {number} total */
  fill(rows, signs, total) {
    this.rows = rows;
    this.element.replaceChildren(...rows.map(([row, kind, words, first, second], at) =>
      el("div", { class: `diff-row ${kind}`, role: "option", id: `difference-${at}`, "aria-selected": "false", onclick: () => this.choose(row) },
        el("span", { class: "diff-what" }, el("b", { "aria-hidden": "true" }, signs[kind][0]), ` ${words}`),
        ...[first, second].map((text) => el("code", { dir: "ltr", class: text ? null : "quiet", title: text }, text || "no such call")))));
    if (!rows.length) this.element.append(el("p", { class: "quiet empty" }, "The two runs do the same."));
    if (total > rows.length) this.element.append(el("p", { class: "quiet empty" }, `… ${(total - rows.length).toLocaleString("en-US")} more: step to them with ‹ and ›, or zoom in and choose them.`));
  }

  /** @param {number} row of the difference, that was chosen */
  show(row) {
    const options = [...this.element.querySelectorAll(".diff-row")];
    options[this.at]?.setAttribute("aria-selected", "false");
    this.at = this.rows.findIndex((each) => each[0] === row);
    const option = options[this.at];
    this.element.setAttribute("aria-activedescendant", option ? option.id : "");
    if (!option) return;
    option.setAttribute("aria-selected", "true");
    const { offsetTop: top, offsetHeight: tall } = /** @type {HTMLElement} */ (option), box = this.element; // never the page
    if (top < box.scrollTop || top + tall > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const last = this.rows.length - 1;
    const to = { ArrowDown: Math.min(this.at + 1, last), ArrowUp: Math.max(this.at - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.rows[to][0]);
  }
}

/**
 * The two calls of a pair, side by side, with what differs between them marked.
 * @param {Pair} pair @param {[CallStore, CallStore]} stores @param {[string, string]} names @param {[Float64Array, Float64Array]} starts when each call began, ns
 * @param {[Float32Array, Float32Array]} durs
 */
export function pairCards(pair, stores, names, starts, durs) {
  return [0, 1].map((at) => {
    const detail = pair.sides[at], other = pair.sides[1 - at], place = pair.places[at], store = stores[at];
    const head = el("h3", {}, names[at]);
    if (!detail) return el("section", { class: "pair-card", "aria-label": names[at] }, head, el("p", { class: "quiet" }, "No such call."));
    const known = place < store.length, end = known ? ending(store, place) : { tone: detail.errno ? "failed" : "ok", words: detail.errno || "succeeded" };
    const values = new Map(other?.args ?? []);
    /** @param {string} name @param {boolean} differs @param {...any} value */
    const line = (name, differs, ...value) => [el("dt", {}, name), el("dd", { class: differs ? "differs" : null }, ...value)];
    /** @param {keyof Detail} key */
    const differs = (key) => other !== null && other[key] !== detail[key];
    return el("section", { class: "pair-card", "aria-label": names[at] }, head,
      el("strong", { class: "mono" }, detail.call), known ? el("span", { class: "quiet" }, ` #${place + store.meta.dropped}`) : null,
      el("dl", {},
        ...line("verdict", differs("errno") || differs("deniedBy"), el("span", { class: end.tone }, end.words)),
        ...(detail.reason ? line("why", differs("reason"), detail.reason) : []),
        ...(detail.result && !detail.errno ? line("result", differs("result"), el("code", {}, detail.result)) : []),
        ...(detail.path ? line("path", differs("path"), el("code", {}, detail.path)) : []),
        ...(known ? line("time", false, `${instant(starts[at][place], Math.max(store.meta.span / 1e6, 1))}, took ${duration(durs[at][place])}`) : []),
        ...(detail.moved ? line("moved", differs("moved"), bytes(detail.moved)) : [])),
      ...(detail.args.length ? [el("dl", { class: "mono" }, ...detail.args.flatMap(([name, value]) => line(name, other !== null && values.get(name) !== value, ...breakable(value))))] : []),
      ...(detail.data ? [el("pre", { class: `hex${differs("data") ? " differs" : ""}`, dir: "ltr", tabIndex: 0, "aria-label": `Payload, ${names[at]}` }, hexdump(Uint8Array.from(atob(detail.data), (c) => c.charCodeAt(0)).subarray(0, 512)))] : []),
      ...(detail.source ? [sourceLines(detail.source)] : []));
  });
}
