// The bar of controls above the timeline and the summary of a selected range. Plain HTML controls with labels: they work
// by keyboard and with a screen reader as they are.

import { exportAs } from "./saving.js";
import { CallStore, FAILED, INJECTED, REFUSED } from "./data/store.js";
import { counted, duration, el, instant, number } from "./data/words.js";

/** What the keys and the pointer do on the timeline. @type {[string, string][]} */
const KEYS = [["W S", "zoom"], ["A D", "pan"], ["F", "fit"], ["← →", "previous and next call"], ["/", "search"], ["M", "select the time in sight"], ["P", "the next descriptor that was passed on (Shift+P: the previous; Enter: its call)"], ["Esc", "let go"], [", .", "with State open: back and on in time"], ["space", "play"],
  ["drag", "pan"], ["wheel", "zoom (Ctrl before the first click); over the names, scroll"], ["double click", "zoom in"], ["Shift+drag, or drag on the times", "select a range"], ["click", "pin a call"], ["right click, or Shift+F10 in the table", "filter by a call's values"]];

/**
 * @param {any} view the TimelineView
 */
export function toolbar(view) {
  const button = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ act, more = {}) =>
    el("button", { title, "aria-label": title, onclick: act, ...more }, label);
  const lanes = el("select", { "aria-label": "Lanes by", title: "Lanes by", onchange: () => view.arrangeBy(lanes.value) }, el("option", { value: "family" }, "by family"), el("option", { value: "fd" }, "by descriptor"));
  const instances = el("option", { value: "instance" }, "by instance");
  const quiet = (/** @type {KeyboardEvent} */ event) => event.stopPropagation();
  const filter = el("input", { type: "search", class: "filter", placeholder: "filter, such as fd_* or refused", "aria-label": "Filter of calls", title: "The same expressions as --filter; Enter applies",
    "aria-describedby": "status", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      quiet(event);
      if (event.key === "Enter") view.filtering.apply(filter.value);
      if (event.key === "Escape") view.canvas.focus();
    }, onsearch: () => view.filtering.apply(filter.value), oninput: () => { if (!filter.value) view.filtering.apply(""); } });
  const facets = button("Facets", "Values that occur, with counts", () => facets.setAttribute("aria-expanded", String(view.filtering.toggle())), { "aria-expanded": "false", "aria-controls": "facets" });
  const mode = el("select", { "aria-label": "Calls that do not match", title: "Calls that do not match", onchange: () => { view.arrangeLanes(); view.table.refresh(); } },
    el("option", { value: "highlight" }, "highlight"), el("option", { value: "hide" }, "hide others"));
  const search = el("input", { type: "search", class: "search", placeholder: "/ search", "aria-label": "Search calls", title: "Name, path, errno or reason; Enter finds the next",
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      quiet(event);
      if (event.key === "Enter") view.search(search.value, event.shiftKey ? -1 : 1);
      if (event.key === "Escape") view.canvas.focus();
    }, oninput: () => found("") });
  const place = el("span", { class: "place quiet", role: "status" });
  const steps = el("span", { class: "steps", hidden: true }, place,
    button("‹", "Previous match (Shift+Enter)", () => view.search(search.value, -1)), button("›", "Next match (Enter)", () => view.search(search.value, 1)));
  const found = (/** @type {string} */ words) => {
    place.textContent = words;
    steps.hidden = !words;
  };
  const exports = el("select", { "aria-label": "Export", title: "Export", onchange: () => {
    const suffix = exports.value;
    exports.value = "";
    if (suffix) exportAs(view, suffix);
  } });
  const stop = button("■ Stop", "Stop the guest", () => view.stop(), { class: "stop" });
  const legend = el("span", { class: "legend quiet" });
  const help = el("p", { class: "help quiet", id: "help", hidden: true }, ...KEYS.map(([key, does]) => el("span", {}, el("kbd", {}, key), ` ${does}`)));
  const ask = button("?", "Keys and gestures", () => {
    help.hidden = !help.hidden;
    ask.setAttribute("aria-expanded", String(!help.hidden));
  }, { "aria-expanded": "false", "aria-controls": "help" });
  const element = el("div", { class: "bar", role: "toolbar", "aria-label": "Timeline controls" },
    button("Fit", "Show the whole run (F)", () => view.navigator.fit()),
    button("+", "Zoom in (W)", () => view.navigator.zoom(0.6, view.navigator.middle)),
    button("−", "Zoom out (S)", () => view.navigator.zoom(1 / 0.6, view.navigator.middle)),
    lanes, view.passing.button, filter, facets, mode, search, steps, exports, stop, ask, legend, help);
  const refresh = () => {
    const { meta } = view.store;
    stop.hidden = !meta.live;
    if ((meta.instances ?? []).length > 1) lanes.append(instances);
    else instances.remove();
    const wanted = [["", "export…"], ...meta.exports, [".png", "picture (.png)"]];
    if (exports.options.length !== wanted.length) exports.replaceChildren(...wanted.map(([value, label]) => el("option", { value }, label)));
    let met = 0;
    const { verdict, length, overview } = view.store;
    for (let i = 0; i < length; i++) met |= verdict[i];
    if (!length && overview) for (const flags of overview.flags) met |= flags;
    legend.replaceChildren(...[["refused", REFUSED], ["failed", FAILED], ["injected", INJECTED]].flatMap(([kind, bit]) => {
      const sign = meta.signs[kind];
      return met & Number(bit) ? [el("span", { class: kind }, `${sign.char} ${sign.words} `)] : [];
    }));
  };
  return { element, lanes, filter, mode, search, found, refresh };
}

/**
 * What a range of time holds, as a table.
 * @param {CallStore} store @param {[number, number]} range ns @param {() => void} zoom @param {() => void} close @param {(text: string) => void} note
 * @returns {Node[]}
 */
export function summaryTable(store, [from, to], zoom, close, note) {
  const rows = store.summary(from, to), wide = to - from;
  const calls = rows.reduce((sum, row) => sum + row.calls, 0), total = rows.reduce((sum, row) => sum + row.total, 0);
  const head = el("div", { class: "inspector-head" },
    el("strong", {}, `${duration(wide)} from ${instant(from, Math.max(wide / 1000, 1), store.span)}: ${counted(calls, "call")}, ${duration(total)} in the host`), el("span", { class: "grow" }),
    el("button", { onclick: zoom }, "Zoom to it"), el("button", { "aria-label": "Clear the selection", title: "Clear the selection (Escape)", onclick: close }, "×"));
  if (!rows.length) return [head];
  const line = (/** @type {string} */ tag, /** @type {string[]} */ cells) => el("tr", {}, ...cells.map((text, i) => el(tag, { class: i ? "n" : null }, text)));
  const noting = el("input", { class: "note", type: "text", maxLength: 500, placeholder: "a note on these calls, kept with the trace (Enter)", "aria-label": "Note on the selected calls", onkeydown: (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    if (event.key === "Enter" && noting.value.trim()) {
      note(noting.value);
      noting.value = "";
    }
    if (event.key === "Escape") close();
  } });
  return [head, noting, el("div", { class: "wide" }, el("table", {},
    el("thead", {}, line("th", ["call", "calls", "refused", "errors", "total", "median", "p99"])),
    el("tbody", {}, ...rows.map((row) => line("td", [row.name, number(row.calls), row.refused ? store.mark(REFUSED) + number(row.refused) : "", row.failed + row.refused ? number(row.failed + row.refused) : "", duration(row.total), duration(row.median), duration(row.p99)])))))];
}
