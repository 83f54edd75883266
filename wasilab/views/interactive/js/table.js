// The calls as a virtual table, with only the visible rows in the page. Columns from typed arrays are shown at
// once; the text of arguments and results comes from Python page by page. The selection is shared with the timeline.

import { CallStore, FAILED, INJECTED, REFUSED } from "./data/store.js";
import { Asker } from "./data/ask.js";
import { duration, el, instant, number } from "./data/words.js";

const ROW = 22, PAGE = 100, TALLEST = 8_000_000; // browsers clip elements at some 16 to 33 million pixels
const COLUMNS = ["#", "time", "call", "arguments", "result", "took"];
const LEAST = 34; // pixels: the minimum width of a column

/** The sort key of a column; the keys of other columns are known only to the kernel. @type {Record<string, (store: CallStore) => (row: number) => number>} */
const SORT_KEYS = {
  "#": () => (row) => row,
  time: (store) => (row) => store.start[row],
  call: (store) => {
    const place = store.meta.names.map((_, number) => number).sort((a, b) => (store.meta.names[a][0] < store.meta.names[b][0] ? -1 : 1));
    const rank = new Float64Array(256).fill(256);
    place.forEach((number, at) => (rank[number] = at));
    return (row) => rank[store.call[row]];
  },
  result: (store) => (row) => (store.verdict[row] & REFUSED ? 2 : store.verdict[row] & FAILED ? 1 : 0) * 256 + store.errno[row],
  took: (store) => (row) => store.dur[row],
};

export class CallTable {
  /**
   * @param {CallStore} store @param {Asker} asker @param {(row: number) => void} onChoose
   * @param {(row: number) => string[] | null} saved arguments and result of a call that the notebook holds
   * @param {(row: number, x: number, y: number, first: string) => void} onAsk open the menu on a call
   */
  constructor(store, asker, onChoose, saved, onAsk) {
    this.onAsk = onAsk;
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
    /** @type {{column: string, down: boolean} | null} null: in the order of time */
    this.sorted = null;
    /** @type {Uint32Array | null} index in the table -> row, when sorted */
    this.order = null;
    /** @type {Uint32Array | null} row -> index in the table, when sorted */
    this.places = null;
    // One listener for all rows, by height: rows may be replaced during a click.
    this.body = el("div", { class: "rows", role: "rowgroup", onclick: (/** @type {MouseEvent} */ e) => {
      if (this.selected()) return; // text was selected for copying
      const index = this.firstShown + Math.floor((e.clientY - this.body.getBoundingClientRect().top) / ROW);
      if (index >= 0 && index < this.count) this.onChoose(this.rowAt(index));
    }, oncontextmenu: (/** @type {MouseEvent} */ e) => this.menu(e) });
    this.spacer = el("div", { class: "spacer", role: "presentation" }, this.body);
    this.scroller = el("div", { class: "scroller", tabIndex: -1, role: "presentation", onscroll: () => this.paint() }, this.spacer);
    this.head = el("div", { class: "row head", role: "row" }, ...COLUMNS.map((name, i) => this.makeHeading(name, i)));
    this.element = el("div", { class: "table", role: "grid", tabIndex: 0, "aria-label": "Calls; the arrow keys choose one", "aria-readonly": "true",
      onkeydown: (/** @type {KeyboardEvent} */ e) => this.key(e) }, el("div", { role: "rowgroup" }, this.head), this.scroller);
  }

  /** The menu on the call under the pointer, or on the chosen one. @param {MouseEvent | KeyboardEvent} event */
  menu(event) {
    const box = this.body.getBoundingClientRect(), mouse = event instanceof MouseEvent;
    if (this.selected()) return; // the page's own menu copies
    const index = mouse ? this.firstShown + Math.floor((event.clientY - box.top) / ROW) : this.pinned < 0 ? -1 : this.indexOf(this.pinned);
    if (index < 0 || index >= this.count) return;
    event.preventDefault();
    event.stopPropagation();
    const cell = mouse ? /** @type {Element} */ (event.target).closest(".cell")?.classList : null;
    const first = cell?.contains("c2") ? "call" : cell?.contains("c4") ? "errno" : cell?.contains("c3") ? "path" : "";
    const y = mouse ? event.clientY : box.top + (index - this.firstShown + 1) * ROW;
    this.onAsk(this.rowAt(index), mouse ? event.clientX : box.left + 120, y, first);
  }

  /** The heading of a column: a click sorts by it, dragging its right edge resizes it. @param {string} name @param {number} i */
  makeHeading(name, i) {
    const sorts = name in SORT_KEYS;
    const edge = el("span", { class: "edge", title: "Drag to make the column wider or narrower", onpointerdown: (/** @type {PointerEvent} */ e) => this.resize(e, i), onclick: (/** @type {Event} */ e) => e.stopPropagation() });
    return el("span", { class: `cell c${i}${sorts ? " sorts" : ""}`, role: "columnheader", tabIndex: sorts ? 0 : null, title: sorts ? `Sort by ${name === "#" ? "number" : name}` : null,
      onclick: () => sorts && this.sort(name), onkeydown: (/** @type {KeyboardEvent} */ e) => {
        if (!sorts || (e.key !== "Enter" && e.key !== " ")) return;
        e.preventDefault();
        e.stopPropagation();
        this.sort(name);
      } }, name, el("span", { class: "arrow", "aria-hidden": "true" }), edge);
  }

  /** Sort by a column: largest first, smallest first, in the order of time again. @param {string} column */
  sort(column) {
    const { sorted } = this;
    if (this.store.meta.window) return; // only some of the calls are loaded
    this.sorted = sorted?.column !== column ? { column, down: true } : sorted.down ? { column, down: false } : null;
    this.arrange();
    this.scroller.scrollTop = 0;
    this.refresh();
  }

  /** Sort the rows of the table. */
  arrange() {
    const { store, sorted } = this;
    this.order = this.places = null;
    for (const [i, name] of COLUMNS.entries()) {
      const heading = this.head.children[i], mine = sorted?.column === name;
      heading.setAttribute("aria-sort", mine ? (sorted?.down ? "descending" : "ascending") : "none");
      heading.querySelector(".arrow").textContent = mine ? (sorted?.down ? " ▼" : " ▲") : "";
    }
    this.arranged = this.state();
    if (!sorted || store.meta.live || store.meta.window) return;
    const matches = this.hide ? store.matches : null, key = SORT_KEYS[sorted.column](store), sign = sorted.down ? -1 : 1;
    const order = matches ? Uint32Array.from(matches) : Uint32Array.from({ length: store.length }, (_, row) => row);
    const keys = new Float64Array(store.length);
    for (const row of order) keys[row] = sign * key(row);
    this.order = order.sort((a, b) => keys[a] - keys[b] || a - b);
    this.places = new Uint32Array(store.length);
    this.order.forEach((row, index) => { if (this.places) this.places[row] = index; });
  }

  /** The other values on which the order depends. */
  state() {
    const { store } = this;
    return `${store.version} ${store.length} ${store.meta.live} ${this.hide} ${this.hide ? store.matches?.length : ""}`;
  }

  /** Drag the right edge of a heading. @param {PointerEvent} event @param {number} i */
  resize(event, i) {
    event.preventDefault();
    const edge = /** @type {HTMLElement} */ (event.target), headings = [...this.head.children].filter((cell) => cell.offsetWidth);
    const widths = headings.map((cell) => cell.offsetWidth), at = headings.indexOf(this.head.children[i]), from = event.clientX, wide = widths[at];
    edge.setPointerCapture(event.pointerId);
    edge.onpointermove = (move) => {
      widths[at] = Math.max(LEAST, wide + move.clientX - from);
      const last = widths.length - 1;
      this.element.style.setProperty("--columns", widths.map((width, n) => (n === last ? `minmax(${Math.min(width, LEAST)}px, 1fr)` : `${width}px`)).join(" "));
    };
    edge.onpointerup = edge.onpointercancel = () => {
      edge.onpointermove = null;
      this.shown = headings.length;
    };
  }

  /** Text of the table that is marked, "" for none. @returns {string} */
  selected() {
    const root = /** @type {any} */ (this.element.getRootNode()), marked = root.getSelection ? root.getSelection() : document.getSelection();
    return marked && !marked.isCollapsed && this.element.contains(marked.anchorNode) ? String(marked) : "";
  }

  /** The row with a tab between its cells, to be pasted into a table. @param {number} row */
  copied(row) {
    return [...this.makeRow(this.indexOf(row)).children].map((cell) => cell.textContent).join("\t");
  }

  /** How many rows the table has: all, or those that match the filter. */
  get count() {
    return this.hide && this.store.matches ? this.store.matches.length : this.store.length;
  }

  /** @param {number} index in the table @returns {number} row in the store */
  rowAt(index) {
    if (this.order) return this.order[index];
    return this.hide && this.store.matches ? this.store.matches[index] : index;
  }

  /** @param {number} row in the store @returns {number} index in the table of it or of the next one shown */
  indexOf(row) {
    if (this.places) return this.places[row];
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
    if (this.sorted && this.arranged !== this.state()) this.arrange();
    if (this.shown && this.shown !== [...this.head.children].filter((cell) => cell.offsetWidth).length) {
      this.shown = 0;
      this.element.style.removeProperty("--columns"); // other columns are seen than were made wider
    }
    this.element.setAttribute("aria-rowcount", String(this.count + 1));
    const { scroller } = this, follow = this.store.meta.live && this.pinned < 0 && scroller.scrollTop + scroller.clientHeight >= scroller.scrollHeight - ROW;
    this.spacer.style.height = `${Math.min(this.count * ROW, TALLEST)}px`;
    if (follow) scroller.scrollTop = scroller.scrollHeight; // who has not scrolled away sees the newest calls
    this.head.style.paddingRight = `${6 + this.scroller.offsetWidth - this.scroller.clientWidth}px`; // beside the scrollbar
    this.paint();
  }

  /** The number of table rows per pixel of scrolling, times ROW. */
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
    this.pages = new Map(); // answers that are on their way go into the old ones
    this.asked = new Map();
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

  /** Request the text of visible rows that are not loaded yet. @param {number} first @param {number} last */
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
    const { pages, asked } = this;
    asked.set(page, rows);
    try {
      const { content } = await this.asker.ask("rows", { first: page * PAGE + this.store.first, count: PAGE });
      pages.set(page, content.rows);
      if (pages.size > 200) {
        const oldest = /** @type {number} */ (pages.keys().next().value);
        pages.delete(oldest);
        asked.delete(oldest);
      }
      if (pages !== this.pages) return;
      // The kernel's answer on a running run may be a second old: the next update, not this paint, asks for the rest.
      const behind = this.store.meta.live && content.rows.length < rows;
      this.paint();
      if (behind) {
        clearTimeout(this.timer);
        asked.set(page, content.rows.length);
      }
    } catch {
      asked.delete(page); // the kernel is gone: the columns stay
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if ((event.ctrlKey || event.metaKey) && event.key === "c") {
      if (!this.selected() && this.pinned >= 0) navigator.clipboard?.writeText(this.copied(this.pinned));
      event.stopPropagation();
      return;
    }
    if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) return this.menu(event);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step === undefined || !this.count) return;
    event.preventDefault();
    event.stopPropagation();
    const at = this.pinned < 0 ? (step > 0 ? -1 : 0) : this.indexOf(this.pinned);
    this.onChoose(this.rowAt(Math.max(0, Math.min(this.count - 1, at + step))));
  }
}
