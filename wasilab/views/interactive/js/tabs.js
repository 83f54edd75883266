// Panels under the timeline, one at a time, selected by tabs.

import { el } from "./data/words.js";

/**
 * @typedef {Object} Tab
 * @property {string} name @property {string} label @property {string} title
 * @property {HTMLElement} element  the panel @property {(open: boolean) => void} [toggled]
 */

export class Tabs {
  /** @param {(open: boolean) => void} changed the height of the widget changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Tab[]} */
    this.tabs = [];
    this.open = "";
    this.list = el("div", { class: "tabs", role: "tablist", "aria-label": "More views of the run", onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) });
    this.panels = el("div", { class: "panels" });
  }

  /** @param {Tab} tab */
  add(tab) {
    const at = this.tabs.push(tab) - 1;
    tab.element.id = `panel-${tab.name}`;
    tab.element.setAttribute("role", "tabpanel");
    tab.element.setAttribute("aria-label", tab.title);
    tab.element.hidden = true;
    this.list.append(el("button", { role: "tab", id: `tab-${tab.name}`, title: tab.title, tabIndex: at ? -1 : 0, "aria-selected": "false", "aria-controls": tab.element.id, onclick: () => this.show(this.open === tab.name ? "" : tab.name) }, tab.label));
    this.panels.append(tab.element);
  }

  /** @param {string} name of a tab, "" for none */
  show(name) {
    if (name === this.open) return;
    this.open = name;
    for (const [at, tab] of this.tabs.entries()) {
      const open = tab.name === name, button = this.list.children[at];
      if (tab.element.hidden === open) {
        tab.element.hidden = !open;
        button.setAttribute("aria-selected", String(open));
        tab.toggled?.(open);
      }
      button.tabIndex = open || (!name && at === 0) ? 0 : -1;
    }
    this.changed(name !== "");
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const buttons = [...this.list.children], at = buttons.indexOf(/** @type {any} */ (event.target));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[(to + buttons.length) % buttons.length].focus();
  }
}
