// Filter by example: a menu on any value, with "only this", "exclude this", "copy". The values and their terms come from
// Python (views/interactive/choices.py); what a choice does is done by the view.

import { narrowed, without, stance } from "./terms.js";
import { el } from "../data/words.js";

/** @typedef {import("./terms.js").Example} Example */

/**
 * @typedef {Object} Choosing what a menu needs of the view
 * @property {() => string} text  the filter's text @property {(expression: string) => void} filter
 * @property {(words: string) => void} say
 */

export class ExampleMenu {
  /** @param {Choosing} acts */
  constructor(acts) {
    this.acts = acts;
    /** @type {HTMLElement | null} */
    this.before = null;
    this.element = el("div", { class: "menu", role: "menu", "aria-label": "Filter by this call", hidden: true,
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event),
      onfocusout: (/** @type {FocusEvent} */ event) => { if (!this.element.contains(event.relatedTarget)) this.close(false); } });
  }

  /**
   * @param {Example[]} examples @param {number} x @param {number} y CSS pixels within the menu's parent
   * @param {HTMLElement | null} [from] what has the focus again when the menu closes @param {string} [first] the kind of value that stands first
   */
  open(examples, x, y, from = null, first = "") {
    const sorted = [...examples].sort((a, b) => Number(b[0] === first) - Number(a[0] === first));
    this.before = from;
    this.element.replaceChildren(...sorted.map((example) => this.line(example)));
    this.element.hidden = false;
    const room = this.element.parentElement, wide = room?.clientWidth ?? 400;
    this.element.style.left = `${Math.max(4, Math.min(x, wide - this.element.offsetWidth - 6))}px`;
    this.element.style.top = `${Math.max(4, Math.min(y, (room?.clientHeight ?? 400) - this.element.offsetHeight - 6))}px`;
    this.buttons[0]?.focus({ preventScroll: true });
  }

  /** @returns {HTMLButtonElement[]} */
  get buttons() {
    return [...this.element.querySelectorAll("button")];
  }

  /** @param {Example} example */
  line([name, shown, term]) {
    const does = (/** @type {string} */ label, /** @type {string} */ title, /** @type {() => void} */ act) =>
      el("button", { role: "menuitem", tabIndex: -1, title: `${title}: ${term}`, "aria-label": `${title}: ${name} ${shown}`, onclick: () => { this.close(); act(); } }, label);
    return el("div", { class: "menu-line", role: "none" },
      el("span", { class: "quiet" }, name), el("span", { class: "mono value", dir: "ltr", title: shown }, shown), exampleButtons(does, this.acts, term, shown));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { buttons } = this, root = /** @type {ShadowRoot} */ (this.element.getRootNode());
    const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (root.activeElement));
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 3, ArrowUp: -3, Tab: event.shiftKey ? -1 : 1 }[event.key];
    if (event.key === "Escape") this.close();
    else if (step !== undefined) buttons[(at + step + buttons.length) % buttons.length]?.focus();
    else if (event.key === "Home" || event.key === "End") buttons.at(event.key === "Home" ? 0 : -1)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {boolean} [back] whether the focus returns to where it was */
  close(back = true) {
    if (this.element.hidden) return;
    this.element.hidden = true;
    if (back) this.before?.focus({ preventScroll: true });
  }
}

/**
 * The three choices for a value.
 * @param {(label: string, title: string, act: () => void) => Node} does makes a button
 * @param {Choosing} acts @param {string} term @param {string} shown
 */
function exampleButtons(does, acts, term, shown) {
  return el("span", { class: "choices", role: "none" },
    does("only", "Only this", () => acts.filter(narrowed(acts.text(), term))),
    does("not", "Exclude this", () => acts.filter(narrowed(acts.text(), term, true))),
    does("copy", "Copy the value", () => copy(shown, acts.say)));
}

/** @param {string} text @param {(words: string) => void} say */
export async function copy(text, say) {
  try {
    await navigator.clipboard.writeText(text);
    say(`Copied ${text}`);
  } catch {
    say("This page may not write to the clipboard: mark the text and copy it.");
  }
}

/**
 * The values that occur, with counts: a click asks for only one, a second click lets go; "not" excludes it.
 * @param {import("./terms.js").Facet[]} facets @param {Choosing} acts @returns {Node[]}
 */
export function facetColumns(facets, acts) {
  const text = acts.text();
  return facets.map((facet) => {
    const most = Math.max(...facet.values.map((value) => value[2]), 1);
    return el("section", { class: "facet", "aria-label": `Values of ${facet.name}` }, el("h3", {}, facet.name),
      ...facet.values.map(([shown, term, count]) => {
        const now = stance(text, term);
        return el("div", { class: `facet-value${now < 0 ? " out" : ""}` },
          el("button", { class: "only", "aria-pressed": String(now > 0), title: `${now > 0 ? "Let go of" : "Only"}: ${term}`, "aria-label": `${now > 0 ? "Let go of" : "Only"} ${facet.name} ${shown}, ${count} calls`,
            onclick: () => acts.filter(now > 0 ? without(text, term) : narrowed(text, term)) },
            el("span", { class: "share", style: `width:${((100 * count) / most).toFixed(1)}%` }), el("span", { class: "value mono", dir: "ltr" }, shown), el("span", { class: "count" }, count.toLocaleString("en-US"))),
          el("button", { class: "not", "aria-pressed": String(now < 0), title: `${now < 0 ? "No longer exclude" : "Exclude"}: ${term}`, "aria-label": `${now < 0 ? "No longer exclude" : "Exclude"} ${facet.name} ${shown}`,
            onclick: () => acts.filter(now < 0 ? without(text, term) : narrowed(text, term, true)) }, "−"));
      }), facet.more ? el("p", { class: "quiet" }, `and ${facet.more.toLocaleString("en-US")} more`) : null);
  });
}
