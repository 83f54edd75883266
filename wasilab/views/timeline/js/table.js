// The calls as a table that holds only the rows in sight, however many there are. Columns that are typed arrays show at
// once; arguments and results in words come from Python a page at a time. Choosing a row tells the timeline, and back.

import { CallStore, FAILED, INJECTED, REFUSED } from "./store.js";
import { Asker } from "./ask.js";
import { duration, el, instant, number } from "./words.js";

const ROW = 22, PAGE = 100, TALLEST = 8_000_000; // browsers clip elements at some 16 to 33 million pixels

export class CallTable {
  /**
   * @param {CallStore} store @param {Asker} asker @param {(row: number) => void} onChoose
   * @param {(row: number) => string[] | null} saved arguments and result of a call that the notebook holds
   */
  constructor(store, asker, onChoose, saved) {
    this.saved = saved;
    this.store = store;
    this.asker = asker;
    this.onChoose = onChoose;
    this.hide = false;
    this.pinned = -1;
    /** @type {Map<number, string[][]>} page -> rows of [arguments, result] */
    this.pages = new Map();
    /** @type {Map<number, number>} page -> how many of its rows were asked for: more are asked for only when it has grown */
    this.asked = new Map();
    this.firstShown = 0;
    // One listener for all rows, by height: rows are replaced while a click is on its way.
    this.body = el("div", { class: "rows", role: "rowgroup", onclick: (/** @type {MouseEvent} */ e) => {
      const index = this.firstShown + Math.floor((e.clientY - this.body.getBoundingClientRect().top) / ROW);
      if (index >= 0 && index < this.count) this.onChoose(this.rowAt(index));
    } });
    this.spacer = el("div", { class: "spacer", role: "presentation" }, this.body);
    this.scroller = el("div", { class: "scroller", tabIndex: -1, role: "presentation", onscroll: () => this.paint() }, this.spacer);
    this.head = el("div", { class: "row head", role: "row" }, ...["#", "time", "call", "arguments", "result", "took"].map((name, i) =>
      el("span", { class: `cell c${i}`, role: "columnheader" }, name)));
    this.element = el("div", { class: "table", role: "grid", tabIndex: 0, "aria-label": "Calls; the arrow keys choose one", "aria-readonly": "true",
      onkeydown: (/** @type {KeyboardEvent} */ e) => this.key(e) }, el("div", { role: "rowgroup" }, this.head), this.scroller);
  }

  /** How many rows the table has: all, or those that match the filter. */
  get count() {
    return this.hide && this.store.matches ? this.store.matches.length : this.store.length;
  }

  /** @param {number} index in the table @returns {number} row in the store */
  rowAt(index) {
    return this.hide && this.store.matches ? this.store.matches[index] : index;
  }

  /** @param {number} row in the store @returns {number} index in the table of it or of the next one shown */
  indexOf(row) {
    const matches = this.hide ? this.store.matches : null;
    if (!matches) return row;
    let low = 0, high = matches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (matches[middle] < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The calls changed: forget nothing that is still true, draw again. */
  refresh() {
    this.element.setAttribute("aria-rowcount", String(this.count + 1));
    const { scroller } = this, follow = this.store.meta.live && this.pinned < 0 && scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - ROW;
    this.spacer.style.height = `${Math.min(this.count * ROW, TALLEST)}px`;
    if (follow) scroller.scrollTop = scroller.scrollHeight; // who has not scrolled away sees the newest calls
    this.head.style.paddingRight = `${6 + this.scroller.offsetWidth - this.scroller.clientWidth}px`; // beside the scrollbar
    this.paint();
  }

  /** How many table rows a pixel of scrolling stands for, times ROW. */
  get stretch() {
    const room = Math.max(this.scroller.clientHeight, ROW), total = this.count * ROW;
    return total <= TALLEST ? 1 : (total - room) / (TALLEST - room);
  }

  /** @param {number} row bring it into sight and mark it */
  pin(row) {
    this.pinned = row;
    if (row >= 0) this.reveal(row, this.scroller.clientHeight / 3);
    this.paint();
  }

  /** @param {number} row scroll to it if it is out of sight @param {number} [above] pixels shown above it */
  reveal(row, above = 0) {
    if (row >= 0 && row < this.store.length) {
      const room = this.scroller.clientHeight, top = this.indexOf(row) * ROW;
      const seen = this.scroller.scrollTop * this.stretch;
      if (top < seen || top > seen + room - ROW * 2) this.scroller.scrollTop = Math.max(0, top - above) / this.stretch;
    }
  }

  /** Other calls are in the store: their words are not those of the rows before. */
  forget() {
    this.pages.clear();
    this.asked.clear();
  }

  paint() {
    const { store } = this, room = this.scroller.clientHeight;
    if (!room) return;
    const shift = this.scroller.scrollTop, first = Math.max(0, Math.floor((shift * this.stretch) / ROW));
    const last = Math.min(this.count, first + Math.ceil(room / ROW) + 2);
    this.body.style.transform = `translateY(${this.stretch === 1 ? first * ROW : shift}px)`;
    this.firstShown = first;
    /** @type {Node[]} */
    const rows = [];
    for (let index = first; index < last; index++) rows.push(this.makeRow(index));
    this.body.replaceChildren(...rows);
    const pinned = this.pinned < 0 ? -1 : this.indexOf(this.pinned);
    if (pinned >= first && pinned < last) this.element.setAttribute("aria-activedescendant", `row-${pinned}`);
    else this.element.removeAttribute("aria-activedescendant");
    if (!this.count) this.body.replaceChildren(el("div", { class: "empty" }, store.length ? "No call matches." : this.why()));
    this.want(first, last);
  }

  /** Why there is no row. */
  why() {
    const { meta } = this.store;
    if (!meta.calls) return meta.live ? "No WASI call yet." : "No WASI call was made.";
    return meta.window ? "Zoom in to see single calls." : "The calls are on their way from the kernel.";
  }

  /** @param {number} index */
  makeRow(index) {
    const { store } = this, row = this.rowAt(index), verdict = store.verdict[row];
    const words = this.pages.get(Math.floor(row / PAGE))?.[row % PAGE] ?? this.saved(row) ?? ["", ""];
    const result = words[1] || store.errnoOf(row);
    const tone = verdict & REFUSED ? " refused" : verdict & FAILED ? " failed" : "";
    const dim = store.mask && !store.mask[row] ? " dim" : "";
    const cells = [number(row + store.first + store.meta.dropped), instant(store.start[row], Math.max(store.span / 1e7, 1), store.span), store.nameOf(row), words[0],
      store.mark(verdict) + result + store.injected(verdict), duration(store.dur[row])];
    return el("div", { class: `row${row === this.pinned ? " pinned" : ""}${tone}${dim}`, role: "row", id: `row-${index}`, "aria-rowindex": index + 2, "aria-selected": String(row === this.pinned) },
      ...cells.map((text, i) => el("span", { class: `cell c${i}`, role: "gridcell", title: i === 3 || i === 4 ? text : null }, text)));
  }

  /** Ask for the words of rows in sight that are not here yet. @param {number} first @param {number} last */
  want(first, last) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      const pages = new Set();
      for (let index = first; index < last; index++) pages.add(Math.floor(this.rowAt(index) / PAGE));
      for (const page of pages) {
        const rows = Math.min(PAGE, this.store.length - page * PAGE);
        if ((this.asked.get(page) ?? 0) < rows) this.fetch(page, rows);
      }
    }, 60);
  }

  /** @param {number} page @param {number} rows how many the page has now */
  async fetch(page, rows) {
    this.asked.set(page, rows);
    try {
      const { content } = await this.asker.ask("rows", { first: page * PAGE + this.store.first, count: PAGE });
      this.pages.set(page, content.rows);
      if (this.pages.size > 200) {
        const oldest = /** @type {number} */ (this.pages.keys().next().value);
        this.pages.delete(oldest);
        this.asked.delete(oldest);
      }
      // The kernel's answer on a running run may be a second old: the next update, not this paint, asks for the rest.
      const behind = this.store.meta.live && content.rows.length < rows;
      this.paint();
      if (behind) {
        clearTimeout(this.timer);
        this.asked.set(page, content.rows.length);
      }
    } catch {
      this.asked.delete(page); // the kernel is gone: the columns stay
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !this.count) return;
    event.preventDefault();
    event.stopPropagation();
    const at = this.pinned < 0 ? (step > 0 ? -1 : 0) : this.indexOf(this.pinned);
    this.onChoose(this.rowAt(Math.max(0, Math.min(this.count - 1, at + step))));
  }
}
