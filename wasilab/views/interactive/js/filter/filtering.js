// What the filter does to the timeline: the expression is evaluated by Python, its bits dim or hide calls; beside it stand
// the facets and the menu on a call. The text in the box is what `--filter` takes.

import { ExampleMenu, facetColumns } from "./examples.js";
import { el } from "../data/words.js";

export class Filtering {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.choosing = { text: () => this.text, filter: (/** @type {string} */ expression) => this.apply(expression), say: (/** @type {string} */ words) => view.say(words) };
    this.menu = new ExampleMenu(this.choosing);
    this.facets = el("div", { class: "facets", id: "facets", role: "group", "aria-label": "Values that occur, with counts", hidden: true });
    this.latest = 0;
  }

  /** @returns {string} the expression in the box */
  get text() {
    return this.view.bar.filter.value;
  }

  /** Filter by an expression of Trace.filter. @param {string} expression "" clears it */
  async apply(expression) {
    const { view } = this, { store, bar } = view, asked = ++this.latest;
    bar.filter.value = expression;
    bar.filter.removeAttribute("aria-invalid");
    if (!expression.trim()) store.setMask(null, null);
    else
      try {
        const { buffers } = await view.asker.ask("filter", { expression });
        if (asked !== this.latest) return; // another filter was asked for meanwhile
        store.setMask(expression, new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength));
      } catch (error) {
        if (asked !== this.latest) return;
        bar.filter.setAttribute("aria-invalid", "true");
        return view.say(/** @type {Error} */ (error).message, true);
      }
    view.arrangeLanes();
    view.table.refresh();
    view.select();
    view.say("");
    this.count();
  }

  /** Show or hide the facets. @returns {boolean} whether they are shown */
  toggle() {
    this.facets.hidden = !this.facets.hidden;
    this.count();
    return !this.facets.hidden;
  }

  /** Count the values of the calls that the filter lets through. */
  async count() {
    if (this.facets.hidden) return;
    const { view } = this, expression = view.store.mask ? this.text : "", focus = this.focused();
    const saved = view.store.meta.facets;
    let facets = expression ? undefined : saved, words = "";
    if (!facets?.length)
      try {
        const { content } = await view.asker.ask("facets", { expression });
        facets = content.facets;
      } catch (error) {
        facets = saved;
        words = `Counts of the whole run: ${/** @type {Error} */ (error).message}.`;
      }
    this.facets.replaceChildren(...facetColumns(facets ?? [], this.choosing), ...(words ? [el("p", { class: "quiet" }, words)] : []));
    if (!facets?.length) this.facets.append(el("p", { class: "quiet" }, "No call, no value."));
    if (focus) [...this.facets.querySelectorAll("button")].find((button) => button.title.endsWith(focus))?.focus({ preventScroll: true });
  }

  /** The term of the facet that has the focus, to keep the keyboard focus. */
  focused() {
    const root = /** @type {ShadowRoot} */ (this.facets.getRootNode()), active = root.activeElement;
    return active && this.facets.contains(active) ? (active.getAttribute("title") ?? "").replace(/^[^:]*: /, "") : "";
  }

  /**
   * Open the menu on a call at a place of the page.
   * @param {number} row @param {number} x @param {number} y client coordinates @param {HTMLElement} from @param {string} [first]
   */
  async ask(row, x, y, from, first = "") {
    if (row < 0) return;
    try {
      const detail = await this.view.details.get(row), box = this.view.root.getBoundingClientRect();
      this.menu.open(detail.examples, x - box.left, y - box.top, from, first);
    } catch (error) {
      this.view.say(`No menu: ${/** @type {Error} */ (error).message}.`, true);
    }
  }
}
