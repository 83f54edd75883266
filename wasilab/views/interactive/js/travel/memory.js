// What changed in linear memory between two stops of the cursor in time. Python rebuilds the memory by a replay, which costs
// time, so it is asked for only while this is open.

import { hexdump } from "../inspector.js";
import { counted, el, number } from "../data/words.js";

/**
 * @typedef {Object} MemoryChange made by views/interactive/state.py
 * @property {number} seq @property {number} since @property {string} size @property {string} grown how much more or less @property {string} changed bytes
 * @property {[number, number, string, string][]} parts  address, end, base64 of its first bytes before and after @property {number} more
 */

export class MemoryChanges {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.at = this.since = -1; // calls, counted from the first that the trace holds
    this.asking = false;
    this.body = el("div", {});
    this.element = el("details", { class: "memory", ontoggle: () => this.load() }, el("summary", {}, "Linear memory: what changed since the previous stop"), this.body);
  }

  /** The cursor moved. @param {number} at */
  to(at) {
    if (at === this.at) return;
    this.since = this.at >= 0 ? this.at : Math.max(at - 1, 0);
    this.at = at;
    this.load();
  }

  /** Other calls, other memory. */
  reset() {
    const { meta } = this.view.store;
    this.at = this.since = -1;
    if (meta.snapshots && !meta.live) this.element.open = true; // the memory was asked for when the run was started
    this.body.replaceChildren();
  }

  /** One question at a time, and only for where the cursor is by then. */
  async load() {
    if (!this.element.open || this.at < 0 || this.asking) return;
    const { at, since } = this;
    this.asking = true;
    this.body.replaceChildren(el("p", { class: "quiet" }, "Replaying to that call…"));
    try {
      const { content } = await this.view.asker.ask("memory", { row: at, since });
      if (this.at === at) this.fill(content.memory);
    } catch (error) {
      if (this.at === at) this.body.replaceChildren(el("p", { class: "quiet" }, `Not known: ${/** @type {Error} */ (error).message}.`));
    }
    this.asking = false;
    if (this.at !== at || this.since !== since) this.load();
  }

  /** @param {MemoryChange} change */
  fill({ seq, since, size, grown, changed, parts, more }) {
    const bytes = (/** @type {string} */ text) => hexdump(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)));
    this.body.replaceChildren(
      el("p", {}, seq === since ? `${size}; no call comes before call ${number(seq)}, so there is nothing to compare with.` : `${size}${grown ? `, ${grown}` : ""}; from call ${number(since)} to call ${number(seq)} ${parts.length ? `${changed} changed in ${counted(parts.length + more, "place")}` : "nothing changed"}.`),
      ...parts.map(([start, end, before, after]) => el("details", { class: "part", open: parts.length <= 3 },
        el("summary", {}, el("code", {}, `0x${start.toString(16)}`), ` ${counted(end - start, "byte")}`),
        el("div", { class: "two" }, ...[["before", before], ["after", after]].map(([name, text]) => el("div", {}, el("span", { class: "quiet" }, name), el("pre", { class: "hex", dir: "ltr", tabIndex: 0, "aria-label": `Memory at 0x${start.toString(16)}, ${name}` }, bytes(text) || "(not there)")))))),
      ...(more ? [el("p", { class: "quiet" }, `and ${counted(more, "more place")}`)] : []));
  }
}
