// One call in detail: the tooltip under the pointer and the inspector of the pinned call. Data from the columns
// is shown at once; decoded arguments, payload, stack and source line when Python answers. All text is set as text.

import { CallStore, FAILED, INJECTED, REFUSED } from "./data/store.js";
import { Asker } from "./data/ask.js";
import { breakable, bytes, counted, duration, el, instant } from "./data/words.js";

/**
 * @typedef {Object} Detail made by views/interactive/feed.py
 * @property {string} call @property {[string, string][]} args @property {string} result @property {string} errno
 * @property {string} meaning what the errno means for this call
 * @property {string} reason why it was refused @property {string} deniedBy @property {string} path @property {string} capability
 * @property {number} moved bytes @property {string} data base64 of the payload kept @property {boolean} cut the payload is longer than what was kept
 * @property {[string, string, number][]} stack function, file, line (0 unknown), innermost first
 * @property {[string, number, [number, string][]] | null} source file, marked line, lines around it
 * @property {string} note @property {[string, string, string][]} examples what it is an example of: kind, value, term of a filter
 */

export class Details {
  /** @param {CallStore} store @param {Asker} asker @param {() => Record<string, Detail>} saved details kept in the notebook */
  constructor(store, asker, saved) {
    this.store = store;
    this.asker = asker;
    this.saved = saved;
    /** @type {Map<number, Detail>} */
    this.cache = new Map();
  }

  /** The store has other calls. */
  forget() {
    this.cache = new Map(); // pending answers go into the old one
  }

  /** @param {number} row @returns {Detail | undefined} */
  known(row) {
    return this.cache.get(row) ?? this.saved()[row + this.store.first];
  }

  /** @param {number} row @returns {Promise<Detail>} */
  async get(row) {
    const known = this.known(row);
    if (known) return known;
    const { cache } = this, { content } = await this.asker.ask("detail", { row: row + this.store.first });
    if (cache.size > 500) cache.delete(/** @type {number} */ (cache.keys().next().value));
    cache.set(row, content.detail);
    return content.detail;
  }
}

/** @param {CallStore} store @param {number} row @returns {{tone: string, words: string}} how the call ended */
export function ending(store, row) {
  const verdict = store.verdict[row], errno = store.errnoOf(row);
  if (verdict & REFUSED) return { tone: "refused", words: `${store.mark(verdict)}refused (${store.meta.deniedBy[store.denied[row]] ?? "?"}) ${errno}`.trim() };
  const injected = store.injected(verdict);
  return verdict & FAILED ? { tone: "failed", words: `${store.mark(verdict)}${errno}${injected}` } : { tone: injected ? "injected" : "ok", words: (errno || "succeeded") + injected };
}

/**
 * The tooltip: a summary of a call. The details are in the inspector, which a click opens.
 * @param {CallStore} store @param {number} row @param {Detail | undefined} detail @param {HTMLElement} box
 */
export function fillTooltip(store, row, detail, box) {
  const end = ending(store, row);
  box.replaceChildren(
    el("div", { class: "tip-name" }, `${store.nameOf(row)}`, el("span", { class: "quiet" }, `  #${row + store.first + store.meta.dropped}`)),
    ...(detail?.args.length ? [el("dl", { class: "mono args" }, ...detail.args.slice(0, 3).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value.slice(0, 60))]))] : []),
    el("div", { class: end.tone }, detail && detail.result && !detail.errno ? `= ${detail.result}` : end.words),
    ...(detail?.reason ? [el("div", { class: "refused reason" }, detail.reason)] : []),
    el("div", { class: "quiet" }, `${duration(store.dur[row])} in the host, at ${instant(store.start[row], Math.max(store.span / 1e5, 1), store.span)}`),
  );
}

export class Inspector {
  /**
   * @param {CallStore} store @param {Details} details
   * @param {{close: () => void, step: (by: number) => void, ask: (row: number, x: number, y: number, from: HTMLElement, first?: string) => void, note: (row: number, text: string) => void, notes: () => Record<string, string>}} acts
   */
  constructor(store, details, acts) {
    this.store = store;
    this.details = details;
    this.acts = acts;
    this.row = -1;
    this.element = el("section", { class: "inspector", "aria-label": "The chosen call", hidden: true });
  }

  /** @param {number} row -1 closes it */
  async show(row) {
    this.row = row;
    this.element.hidden = row < 0;
    if (row < 0) return;
    const known = this.details.known(row);
    this.fill(row, known, known ? "" : "Asking the kernel for the details…");
    if (known) return;
    try {
      const detail = await this.details.get(row);
      if (this.row === row) this.fill(row, detail, "");
    } catch (error) {
      if (this.row === row) this.fill(row, undefined, `No details: ${/** @type {Error} */ (error).message}.`);
    }
  }

  /** @param {number} row @param {Detail | undefined} detail @param {string} status */
  fill(row, detail, status) {
    const { store } = this, end = ending(store, row), meta = store.meta.names[store.call[row]];
    const seq = row + store.first + store.meta.dropped;
    /** @param {string} name @param {...any} value */
    const line = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
    const parts = [
      el("div", { class: "inspector-head" },
        el("strong", { class: "mono" }, store.nameOf(row)), el("span", { class: "quiet" }, ` #${seq}`), el("span", { class: "grow" }),
        el("button", { title: "Filter by the values of this call", "aria-label": "Filter by the values of this call", "aria-haspopup": "menu", onclick: (/** @type {any} */ e) => {
          const box = e.currentTarget.getBoundingClientRect();
          this.acts.ask(row, box.left, box.bottom, e.currentTarget);
        } }, "Filter ▾"),
        el("button", { title: "Previous call (left arrow)", "aria-label": "Previous call", onclick: () => this.acts.step(-1) }, "‹"),
        el("button", { title: "Next call (right arrow)", "aria-label": "Next call", onclick: () => this.acts.step(1) }, "›"),
        el("button", { title: "Close (Escape)", "aria-label": "Close", onclick: () => this.acts.close() }, "×")),
      el("dl", {},
        ...line("verdict", el("span", { class: end.tone }, end.words)),
        ...(detail?.reason ? line("why", el("div", { class: "refused why" }, detail.reason)) : []),
        ...(detail?.meaning ? line("meaning", detail.meaning) : []),
        ...(detail?.result && !detail.errno ? line("result", el("code", {}, detail.result)) : []),
        ...(detail?.path ? line("path", el("code", {}, detail.path)) : []),
        ...(detail?.capability ? line("through", detail.capability) : []),
        ...line("time", `${instant(store.start[row], Math.max(store.span / 1e6, 1), store.span)}, took ${duration(store.dur[row])}`),
        ...(detail?.moved ? line("moved", bytes(detail.moved)) : [])),
    ];
    if (status) parts.push(el("p", { class: "quiet" }, status));
    if (detail?.args.length)
      parts.push(el("h3", {}, "Arguments"), el("dl", { class: "mono" }, ...detail.args.flatMap(([name, value]) => line(name, ...breakable(value)))));
    if (detail?.source) parts.push(el("h3", {}, `Source: ${detail.source[0]}, line ${detail.source[1]}`), sourceLines(detail.source));
    if (detail?.stack.length)
      parts.push(el("h3", {}, "Guest stack"), el("ol", { class: "mono stack" }, ...detail.stack.map(([name, file, at]) =>
        el("li", {}, name, file ? el("span", { class: "quiet" }, ` ${file}${at ? ":" + at : ""}`) : null))));
    if (detail?.data) {
      const raw = Uint8Array.from(atob(detail.data), (c) => c.charCodeAt(0));
      parts.push(el("h3", {}, `Payload, ${detail.cut ? "first " : ""}${counted(raw.length, "byte")}${detail.cut && detail.moved ? ` of ${detail.moved.toLocaleString("en-US")}` : ""}`),
        el("pre", { class: "hex", dir: "ltr", tabIndex: 0, "aria-label": "Payload as a hexdump" }, hexdump(raw)));
    }
    const note = this.acts.notes()[String(row + store.first)] ?? detail?.note ?? "";
    parts.push(el("h3", {}, "Note"), el("input", { class: "note", type: "text", value: note, maxLength: 500, placeholder: "a note on this call, kept with the trace", "aria-label": "Note on this call",
      onchange: (/** @type {any} */ e) => this.acts.note(row, e.target.value) }));
    if (meta?.[2]) parts.push(el("p", { class: "quiet" }, `${meta[3]} `, el("a", { href: meta[2], target: "_blank", rel: "noopener noreferrer" }, "WASI's document")));
    const root = /** @type {ShadowRoot} */ (this.element.getRootNode()), had = this.element.contains(root.activeElement) ? root.activeElement : null;
    const typed = had instanceof HTMLInputElement && had.className === "note" && this.filled === row ? had.value : null;
    this.filled = row;
    this.element.replaceChildren(...parts);
    if (!had) return;
    const same = /** @type {HTMLElement | null} */ (this.element.querySelector(`[aria-label="${had.getAttribute("aria-label")}"]`)); // keep the keyboard focus
    if (same instanceof HTMLInputElement && typed !== null) same.value = typed;
    same?.focus({ preventScroll: true });
  }
}

/** @param {[string, number, [number, string][]]} source */
export function sourceLines([, marked, lines]) {
  return el("pre", { class: "source", dir: "ltr", tabIndex: 0, "aria-label": "Source" }, ...lines.map(([at, text]) =>
    el("div", { class: at === marked ? "here" : null, "aria-current": at === marked ? "true" : null }, el("span", { class: "lineno" }, String(at).padStart(4) + (at === marked ? " ▸ " : "   ")), text || " ")));
}

/** @param {Uint8Array} data @returns {string} 16 bytes a line: offset, hexadecimal, printable ASCII */
export function hexdump(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 16) {
    const part = [...data.subarray(at, at + 16)];
    const hex = part.map((b) => b.toString(16).padStart(2, "0"));
    const left = hex.slice(0, 8).join(" "), right = hex.slice(8).join(" ");
    const text = part.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${left.padEnd(23)}  ${right.padEnd(23)}  ${text}`);
  }
  return lines.join("\n");
}
