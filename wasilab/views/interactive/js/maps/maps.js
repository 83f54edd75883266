// Two maps of a run: the tree of its files and the graph of its capabilities. Both come from Python, or from what the
// notebook saved; a click on anything filters the calls by it.

import { narrowed } from "../filter/terms.js";
import { bytes, el, number } from "../data/words.js";
import { named, pressed, seen } from "./tree.js";

const MOST = 400; // rows drawn

export class Maps {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.files = el("section", { class: "files" });
    this.graph = el("section", { class: "graph" });
    /** @type {import("./tree.js").Row[]} */
    this.rows = [];
    /** @type {Set<number>} */
    this.closed = new Set();
    this.now = 0;
    this.more = 0;
    this.tree = el("div", { class: "tree", role: "tree", "aria-label": "Files of the run", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event), onclick: (/** @type {MouseEvent} */ event) => this.click(event) });
    /** @type {Promise<void> | null} */
    this.loading = null;
  }

  /** The run changed. */
  reset() {
    this.loading = null;
    for (const part of [this.files, this.graph]) if (!part.hidden) this.load();
  }

  /** @param {boolean} open */
  toggled(open) {
    if (open) this.load();
  }

  load() {
    this.loading ??= this.fetch();
  }

  async fetch() {
    const saved = this.view.model.get("_maps"), whole = saved?.files && !saved.more;
    let maps = whole ? saved : null, words = "";
    if (!maps)
      try {
        maps = (await this.view.asker.ask("maps")).content.maps;
      } catch (error) {
        maps = saved?.files ? saved : null;
        words = maps ? "" : `No maps: ${/** @type {Error} */ (error).message}.`;
        this.loading = null;
      }
    if (!maps) {
      for (const part of [this.files, this.graph]) part.replaceChildren(el("p", { class: "quiet" }, words));
      return;
    }
    this.rows = maps.files.map(named);
    this.more = maps.more;
    this.closed = new Set(this.rows.length > 60 ? this.rows.flatMap((row, at) => (row.folder && row.depth > 0 ? [at] : [])) : []);
    this.now = 0;
    this.files.replaceChildren(el("p", { class: "quiet hint" }, "Choose a file or folder to see only its calls."), this.tree);
    this.paint();
    const box = el("div", { class: "drawing", tabIndex: -1, onclick: (/** @type {MouseEvent} */ event) => this.pick(event.target), onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      this.pick(event.target);
    } });
    box.innerHTML = maps.graph; // made and escaped by views/maps/graph_svg.py
    this.graph.replaceChildren(el("p", { class: "quiet hint" }, "What came from what. Blue: granted; red: refused. Choose a box to see only its calls."), box);
  }

  /** Show only the calls of a box. @param {EventTarget | null} target */
  pick(target) {
    const term = /** @type {Element | null} */ (target)?.closest("[data-term]")?.getAttribute("data-term");
    if (term) this.view.filtering.apply(term);
  }

  paint() {
    const shown = seen(this.rows, this.closed), most = Math.max(...this.rows.map((row) => row.read + row.written), 1);
    this.tree.replaceChildren(...shown.slice(0, MOST).map((at) => this.line(at, most)));
    const left = Math.max(shown.length - MOST, 0) + this.more;
    if (!this.rows.length) this.tree.append(el("p", { class: "quiet" }, "The run touched no file."));
    if (left) this.tree.append(el("p", { class: "quiet" }, `and ${number(left)} more`));
  }

  /** @param {number} at @param {number} most */
  line(at, most) {
    const row = this.rows[at], open = !this.closed.has(at);
    return el("div", { class: `tree-row${row.refused ? " has-refused" : ""}`, role: "treeitem", tabIndex: at === this.now ? 0 : -1, "data-at": at, "aria-level": row.depth + 1, "aria-expanded": row.folder ? String(open) : null, style: `--depth:${row.depth}`, title: row.term },
      el("span", { class: "twist", "aria-hidden": "true" }, row.folder ? (open ? "▾" : "▸") : ""), el("span", { class: "mono value", dir: "ltr" }, row.name),
      el("span", { class: "amount", "aria-hidden": "true" }, el("span", { style: `width:${((100 * (row.read + row.written)) / most).toFixed(1)}%` })),
      el("span", { class: "figure" }, row.read || row.written ? bytes(row.read + row.written) : ""), el("span", { class: row.refused ? "refused did" : row.failed ? "failed did" : "quiet did" }, row.words), el("span", { class: "quiet figure" }, `${number(row.calls)} call${row.calls === 1 ? "" : "s"}`));
  }

  /** @param {MouseEvent} event */
  click(event) {
    const line = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-at]"));
    if (!line) return;
    this.now = Number(line.dataset.at);
    if (/** @type {Element} */ (event.target).className === "twist" && this.rows[this.now].folder) this.fold();
    else this.choose(event.ctrlKey || event.metaKey);
    this.focus();
  }

  fold() {
    if (!this.closed.delete(this.now)) this.closed.add(this.now);
  }

  /** @param {boolean} [exclude] */
  choose(exclude = false) {
    const { term } = this.rows[this.now];
    this.view.filtering.apply(exclude ? narrowed(this.view.filtering.text, term, true) : term);
  }

  focus() {
    this.paint();
    this.tree.querySelector(`[data-at="${this.now}"]`)?.focus({ preventScroll: false });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" || event.key === " ") this.choose();
    else {
      const to = pressed(this.rows, this.closed, this.now, event.key);
      if (to < 0) return;
      this.now = to;
    }
    event.preventDefault();
    event.stopPropagation();
    this.focus();
  }
}
