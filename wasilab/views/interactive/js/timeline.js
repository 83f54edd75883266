// The timeline widget: combines store, painter, navigator, table and inspector in one shadow root, and communicates with
// Python (views/interactive/widget.py). An ES module for anywidget, without libraries; it sends requests only to the kernel.

import { makeHead } from "./head.js";
import { Asker } from "./data/ask.js";
import { Painter, RULER } from "./draw.js";
import { Details, fillTooltip, Inspector } from "./inspector.js";
import { arrange } from "./lanes.js";
import { LevelOfDetail } from "./data/lod.js";
import { Navigator } from "./navigate.js";
import { sharedOf } from "./data/shared.js";
import { REFUSED } from "./data/store.js";
import { CallTable } from "./table.js";
import { Tabs } from "./tabs.js";
import { retheme } from "./theme.js";
import { Flame } from "./flame/flame.js";
import { Passing } from "./passed/passing.js";
import { Maps } from "./maps/maps.js";
import { Travel } from "./travel/travel.js";
import { Notes } from "./onward/notes.js";
import { listed } from "./onward/spans.js";
import { SqlBox } from "./onward/sql.js";
import { Tools } from "./onward/tools.js";
import { Filtering } from "./filter/filtering.js";
import { summaryTable, toolbar } from "./panels.js";
import { counted, el, instant } from "./data/words.js";

/** @typedef {import("./data/ask.js").Model} Model */

export class TimelineView {
  /** @param {Model} model @param {HTMLElement} host */
  constructor(model, host) {
    this.model = model;
    this.host = host;
    this.shared = sharedOf(model);
    this.store = this.shared.store;
    this.arrangement = "family";
    /** @type {number | undefined} */
    this.frameRequest = undefined;
    /** When the first picture was drawn, performance.now(). @type {number | undefined} */
    this.firstPaint = undefined;
    this.followed = ""; // the view that the table last followed
    host.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's own keys must not act on ours
    const root = host.attachShadow({ mode: "open" });
    root.append(el("style", { textContent: model.get("_style") }));
    this.status = el("div", { class: "status quiet", id: "status", role: "status", "aria-live": "polite" });
    this.asker = new Asker(model, (waiting) => this.say(waiting ? "Waiting for the kernel: it is busy, or not running. What was saved is shown." : ""));
    this.details = new Details(this.store, this.asker, () => model.get("_details") ?? {});
    this.canvas = el("canvas", { class: "main", tabIndex: 0, role: "application", "aria-label": "Timeline of WASI calls" });
    this.minimap = el("canvas", { class: "minimap", "aria-hidden": "true" });
    this.lod = new LevelOfDetail(this.store);
    this.painter = new Painter(this.canvas, this.minimap, this.store, this.lod);
    this.painter.noted = () => listed(model.get("notes") ?? {}).map(({ first, last }) => [first - this.store.first, last - this.store.first]);
    this.tip = el("div", { class: "tip", role: "tooltip", hidden: true });
    this.passing = new Passing(this);
    this.table = new CallTable(this.store, this.asker, (row) => this.choose(row), (row) => {
      const detail = this.details.known(row);
      return detail ? [detail.args.map(([name, value]) => `${name}=${value}`).join(", "), detail.result] : null;
    }, (row, x, y, first) => this.filtering.ask(row, x, y, this.table.element, first));
    this.inspector = new Inspector(this.store, this.details, {
      close: () => this.choose(-1), step: (by) => this.step(by), ask: (row, x, y, from, first) => this.filtering.ask(row, x, y, from, first), notes: () => model.get("notes") ?? {}, note: (row, text) => this.note(row, text) });
    this.travel = new Travel(this);
    this.navigator = new Navigator(this.store, this.painter, {
      changed: () => this.soon(), choose: (row) => this.choose(row), hovered: (row, x, y) => this.hover(row, x, y), selected: () => this.select(),
      step: (by) => this.step(by), search: () => this.bar.search.focus(), escape: () => this.escape(), hint: () => this.hintWheel(),
      ask: (row, x, y) => this.filtering.ask(row, x, y, this.canvas), travel: this.travel, passing: this.passing });
    this.filtering = new Filtering(this);
    this.tabs = new Tabs(() => this.resize());
    this.tabs.add({ name: "state", label: "State", title: "The state of the run at a moment", element: this.travel.element, toggled: (open) => this.travel.toggle(open) });
    this.maps = new Maps(this);
    this.tabs.add({ name: "files", label: "Files", title: "What was read, written, made and refused, by folder", element: this.maps.files, toggled: (open) => this.maps.toggled(open) });
    this.tabs.add({ name: "graph", label: "Capabilities", title: "The capability graph: what came from what", element: this.maps.graph, toggled: (open) => this.maps.toggled(open) });
    this.flame = new Flame(this);
    this.tabs.add({ name: "flame", label: "Call tree", title: "Which functions of the guest made the calls", element: this.flame.element, toggled: (open) => this.flame.toggled(open) });
    this.notes = new Notes(this);
    this.tabs.add({ name: "notes", label: "Notes", title: "Notes on calls and ranges", element: this.notes.element, toggled: (open) => this.notes.toggled(open) });
    this.sql = new SqlBox(this);
    this.tabs.add({ name: "sql", label: "SQL", title: "Questions in SQL, whose rows lead to the calls", element: this.sql.element, toggled: (open) => this.sql.toggled(open) });
    this.tools = new Tools(this);
    this.tabs.add({ name: "tools", label: "Open in…", title: "Other tools: the file, and where to drop it", element: this.tools.element, toggled: (open) => this.tools.toggled(open) });
    this.painter.travel = () => this.travel.time;
    this.bar = toolbar(this);
    this.selection = el("section", { class: "selection", "aria-label": "Summary of the selected time", hidden: true });
    this.head = makeHead(this);
    this.report = el("div", { class: "report-html" });
    this.lanesBar = el("div", { class: "lanes-bar", "aria-hidden": "true", onscroll: () => this.navigator.scrollTo(this.lanesBar.scrollTop) }, el("div"));
    this.frame = el("div", { class: "stage" }, this.canvas, this.lanesBar, this.tip);
    this.root = el("div", { class: "wasilab", role: "region", "aria-label": "WASI timeline", onkeydown: (/** @type {KeyboardEvent} */ e) => this.key(e) }, this.head, this.bar.element, this.filtering.facets, this.minimap, this.frame, this.status,
      this.selection, this.tabs.list, this.tabs.panels, el("div", { class: "below" }, this.table.element, this.inspector.element), this.report, this.filtering.menu.element);
    root.append(this.root);
    this.update = this.update.bind(this);
    this.shared.watchers.add(this.update);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.root);
    this.themes = new MutationObserver(() => this.retheme());
    for (const node of [document.documentElement, document.body]) this.themes.observe(node, { attributes: true });
    for (const trait of ["_head", "_report"]) model.on(`change:${trait}`, this.update);
    this.renoted = () => this.notes.reset();
    model.on("change:notes", this.renoted);
    this.retheme();
    this.update();
    this.navigator.fit();
  }

  close() {
    this.shared.watchers.delete(this.update);
    for (const trait of ["_head", "_report"]) this.model.off(`change:${trait}`, this.update);
    this.model.off("change:notes", this.renoted);
    this.sizes.disconnect();
    this.themes.disconnect();
    this.travel.stop();
    this.asker.close();
    cancelAnimationFrame(this.frameRequest ?? 0);
  }

  /** @param {string} words "" for what there is to say of the run @param {boolean} [wrong] something did not work */
  say(words, wrong = false) {
    this.status.textContent = words || this.resting();
    this.status.classList.toggle("wrong", wrong);
  }

  resting() {
    const { store } = this, { meta } = store;
    const parts = [counted(meta.calls, "call")];
    if (meta.dropped) parts.push(`the first ${counted(meta.dropped, "call")} not kept`);
    if (store.matches) parts.push(`${counted(store.matches.length, "call")} match`);
    if (meta.live) parts.push("running");
    else if (meta.window) parts.push(store.length ? `the table holds calls ${(store.first + meta.dropped).toLocaleString("en-US")} to ${(store.first + meta.dropped + store.length - 1).toLocaleString("en-US")}` : "zoom in to see single calls");
    else if (!store.complete && meta.calls) parts.push("an overview is shown; the calls come from the kernel");
    return parts.join(" · ");
  }

  /** The calls or the report changed. */
  update() {
    const head = this.model.get("_head") ?? "", report = this.model.get("_report") ?? "";
    if (this.headShown !== head) this.head.innerHTML = this.headShown = head; // made and escaped by views/report/
    if (this.reportShown !== report) this.report.innerHTML = this.reportShown = report;
    this.arrangeLanes();
    this.bar.refresh();
    if (this.loaded !== this.shared.loads) this.forget();
    this.table.refresh();
    this.root.style.setProperty("--calls", String(Math.min(this.store.meta.live ? 99 : this.store.meta.calls, 99)));
    this.say("");
    if (this.navigator.fitted) this.navigator.fit();
    this.fetchCalls();
    const which = `${this.store.meta.title} ${this.store.meta.live} ${this.store.meta.calls}`;
    if (this.traveller !== (this.traveller = which)) {
      this.travel.reset();
      this.maps.reset();
      this.flame.reset();
    }
    if (this.counted !== (this.counted = `${this.store.meta.title} ${this.store.meta.live}`)) this.filtering.count();
    this.canvas.setAttribute("aria-label", `Timeline of ${this.resting()}. Keys: W and S zoom, A and D pan, F fits, arrows choose a call, slash searches, M selects the time in sight, Escape lets go.`);
    this.soon();
  }

  /** The store has other calls: discard everything derived from the previous ones. */
  forget() {
    const ended = this.wasLive && !this.store.meta.live; // the same calls: the pinned one stays
    this.loaded = this.shared.loads;
    this.wasLive = this.store.meta.live;
    this.table.forget();
    this.details.forget();
    if (!ended && this.navigator.view.pinned >= 0) this.choose(-1);
  }

  arrangeLanes() {
    const { lanes, laneOf, lanesOfFlow } = arrange(this.store, this.arrangement);
    this.painter.lanes = lanes;
    this.painter.laneHeight = this.arrangement === "fd" ? 22 : 26;
    this.passing.arranged(lanesOfFlow);
    this.lod.arrange(lanes.length, laneOf, this.arrangement);
    this.lod.hide = this.bar.mode.value === "hide" && this.store.mask !== null;
    if (this.store.mask && !this.lod.hide) {
      this.painter.overlay ??= new LevelOfDetail(this.store);
      this.painter.overlay.arrange(lanes.length, laneOf, this.arrangement);
      this.painter.overlay.hide = true;
    } else this.painter.overlay = null;
    this.table.hide = this.lod.hide;
    this.resize();
  }

  /** @param {string} arrangement of the lanes: "family", "fd", "instance" */
  arrangeBy(arrangement) {
    this.arrangement = this.bar.lanes.value = arrangement;
    this.navigator.view.scroll = 0;
    this.arrangeLanes();
  }

  /** Request the calls that are not saved in the notebook. */
  async fetchCalls() {
    const { store, shared } = this;
    if (store.meta.window || store.complete || shared.asked) return;
    if (store.first > 0 && store.meta.live) return; // the end of the run brings all
    shared.asked = true;
    try {
      while (!store.complete) {
        const before = store.length, { content, buffers } = await this.asker.ask("calls", { first: store.length });
        shared.push({ ...content, push: "calls" }, buffers);
        if (store.length === before) break;
      }
    } catch (error) {
      this.say(`An overview is shown: ${/** @type {Error} */ (error).message}.`);
    }
    shared.asked = store.complete;
  }

  /** For a run that is too large: load the visible calls, once they are few enough. */
  wantWindow() {
    const { store } = this, { from, to } = this.navigator.view;
    clearTimeout(this.windowTimer);
    if (!store.meta.window || store.covers(Math.max(from, 0), to) || store.estimate(from, to) > store.meta.window * 0.8) return;
    this.windowTimer = setTimeout(() => this.fetchWindow({ from: Math.max(from, 0), to }), 120);
  }

  /** @param {Record<string, number>} which {from, to} in ns, or {row} @returns {Promise<boolean>} whether it came */
  async fetchWindow(which) {
    try {
      const { content, buffers } = await this.asker.ask("window", which), pinned = this.navigator.view.pinned + this.store.first;
      this.table.forget();
      this.details.forget();
      this.navigator.view.hover = -1;
      this.shared.push({ ...content, push: "calls", replace: true }, buffers);
      const row = pinned - this.store.first;
      this.navigator.view.pinned = pinned >= 0 && row >= 0 && row < this.store.length ? row : -1;
      return true;
    } catch (error) {
      this.say(`An overview is shown: ${/** @type {Error} */ (error).message}.`);
      return false;
    }
  }

  resize() {
    const width = Math.floor(this.frame.clientWidth);
    if (width < 1) return;
    if (!this.painter.theme.bg) this.retheme(); // there are no styles before the widget is in the page
    const height = Math.min(this.painter.contentHeight, this.arrangement === "fd" ? 420 : 360);
    this.root.classList.toggle("narrow", width < 720);
    if (width !== this.painter.width || height !== this.painter.height || this.arrangement !== this.sized) {
      this.sized = this.arrangement;
      this.painter.resize(width, height, this.arrangement === "fd");
    }
    this.navigator.scrollBy(0);
    this.lanesBar.hidden = this.painter.contentHeight <= height;
    this.lanesBar.firstChild.style.height = `${this.painter.contentHeight - RULER}px`;
    this.table.refresh();
    this.soon();
  }

  /** Follow the page's theme: the background colour decides between light and dark. */
  retheme() {
    retheme(this.host, this.root, this.painter.theme);
    this.soon();
  }

  soon() {
    this.frameRequest ??= requestAnimationFrame(() => {
      this.frameRequest = undefined;
      const begun = performance.now();
      this.wantWindow();
      if (this.painter.width) this.painter.paint(this.navigator.view);
      if (!this.lanesBar.hidden && Math.abs(this.lanesBar.scrollTop - this.navigator.view.scroll) >= 1) this.lanesBar.scrollTop = this.navigator.view.scroll;
      this.paintTimes.push(performance.now() - begun);
      if (this.paintTimes.length > 600) this.paintTimes.shift();
      if (this.painter.width) this.firstPaint ??= performance.now();
      this.root.dataset.painted = "yes";
      this.followTable();
    });
  }

  /** Scroll the table to the visible calls, unless the pinned call is visible. */
  followTable() {
    const { from, to, pinned } = this.navigator.view, key = `${from} ${to}`;
    if (key === this.followed) return;
    this.followed = key;
    if (this.navigator.fitted || (pinned >= 0 && this.store.start[pinned] <= to && this.store.end(pinned) >= from)) return;
    clearTimeout(this.followTimer);
    this.followTimer = setTimeout(() => this.table.reveal(this.store.firstAt(from)), 150);
  }

  /** Milliseconds that the last frames took to draw, for measurements. @type {number[]} */
  paintTimes = [];

  /** @param {number} row @param {number} x @param {number} y */
  hover(row, x, y) {
    clearTimeout(this.tipTimer);
    this.tip.hidden = row < 0 || row === this.navigator.view.pinned; // the inspector shows a pinned call
    if (this.tip.hidden) return;
    fillTooltip(this.store, row, this.details.known(row), this.tip);
    this.placeTip(x, y);
    if (this.details.known(row)) return;
    this.tipTimer = setTimeout(async () => {
      try {
        const detail = await this.details.get(row);
        if (this.navigator.view.hover === row && !this.tip.hidden && detail) this.hover(row, x, y);
      } catch {
        // without a kernel the columns are all there is to show
      }
    }, 90);
  }

  /** Show the tooltip beside a point. @param {number} x @param {number} y */
  placeTip(x, y) {
    this.tip.hidden = false;
    const room = this.painter.width, wide = Math.min(260, room - 16);
    Object.assign(this.tip.style, { maxWidth: `${wide}px`, left: "0" }); // measure it where it has room
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, room - this.tip.offsetWidth - 6))}px`;
    const tall = this.tip.offsetHeight, bottom = this.root.getBoundingClientRect().bottom - this.frame.getBoundingClientRect().top;
    this.tip.style.top = `${y + 22 + tall < bottom ? y + 18 : Math.max(y - tall - 12, bottom - this.root.offsetHeight + 4)}px`; // nothing shows outside the widget
  }

  /** Pin a call everywhere, -1 for none. @param {number} row */
  choose(row) {
    if (row >= this.store.length) return;
    this.navigator.view.pinned = row;
    if (row >= 0) {
      this.passing.choose(-1);
      this.tip.hidden = true;
      this.navigator.reveal(row);
    }
    this.table.pin(row);
    this.inspector.show(row);
    if (row >= 0 && this.travel.open) this.travel.to(row + this.store.first);
    this.root.classList.toggle("inspecting", row >= 0);
    if (row < 0) this.say("");
    else this.say(`Call ${row + this.store.first + this.store.meta.dropped}: ${this.store.nameOf(row)}${this.store.verdict[row] & REFUSED ? ", refused" : ""}`);
    this.table.refresh();
    this.soon();
  }

  /** Go to the next or previous call that matches the filter. @param {number} by */
  step(by) {
    const { pinned, from } = this.navigator.view, matches = this.store.matches;
    let row = pinned < 0 ? this.store.firstAt(from) - (by > 0 ? 1 : 0) : pinned;
    do row += by;
    while (row >= 0 && row < this.store.length && matches && !this.store.mask?.[row]);
    if (row >= 0 && row < this.store.length) this.choose(row);
  }

  /** Escape in the table or the inspector goes back to the timeline. @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    this.escape();
    this.canvas.focus({ preventScroll: true });
  }

  escape() {
    const { view } = this.navigator;
    if (view.selection) {
      view.selection = null;
      this.select();
    } else if (!this.passing.release()) this.choose(-1);
  }

  /** Show the summary of the selected time. */
  select() {
    const range = this.navigator.view.selection;
    this.selection.hidden = !range;
    if (range) this.selection.replaceChildren(...summaryTable(this.store, range, () => this.navigator.look(range[0], range[1]), () => this.escape(), (text) => this.notes.onRange(range, text)));
    this.soon();
  }

  /** Go to the next call whose name, path, errno or reason contains `text`. @param {string} text @param {number} by */
  async search(text, by) {
    if (!text.trim() || !this.store.length) return;
    try {
      const { content } = await this.asker.ask("search", { text, row: this.navigator.view.pinned + this.store.first, by });
      this.bar.found(content.row === null ? "0 of 0" : `${content.place.toLocaleString("en-US")} of ${content.total.toLocaleString("en-US")}`);
      if (content.row === null) this.say(`Nothing holds "${text}".`);
      else {
        await this.chooseRow(content.row);
      }
    } catch (error) {
      this.say(/** @type {Error} */ (error).message, true);
    }
  }

  /** Load a call into the store. @param {number} row of the trace @returns {Promise<boolean>} whether it is loaded */
  async hold(row) {
    const at = row - this.store.first;
    return (at >= 0 && at < this.store.length) || this.fetchWindow({ row });
  }

  /** Pin a call. @param {number} row of the trace */
  async chooseRow(row) {
    if (await this.hold(row)) this.choose(row - this.store.first);
  }

  /** @param {number} row @param {string} text */
  note(row, text) {
    this.notes.write(String(row + this.store.first), text);
  }

  async stop() {
    try {
      await this.asker.ask("stop");
    } catch (error) {
      this.say(/** @type {Error} */ (error).message, true);
    }
  }

  hintWheel() {
    this.say("Click the timeline to zoom with the wheel, or hold Ctrl.");
  }

  /** For tests and measurements. @param {number} ns @returns {string} */
  at(ns) {
    return instant(ns, 1);
  }
}

export default {
  /** Listen from the start: what a running run sends before it is shown is not lost. @param {{model: Model}} context */
  initialize({ model }) {
    sharedOf(model);
  },

  /** @param {{model: Model, el: HTMLElement}} context */
  render({ model, el: element }) {
    const host = document.createElement("div");
    host.className = "wasilab-timeline";
    host.dataset.key = model.get("_key") ?? ""; // the report beside it hides while it is here (views/report/page.py)
    element.append(host);
    const view = new TimelineView(model, host);
    /** @type {any} */ (host).timeline = view;
    return () => view.close();
  },
};
