// Other tools for viewing a trace: the file for each tool, and how to open it. The widget sends nothing to them:
// the user saves the file and opens the tool's page.

import { exportAs, pageOf } from "../saving.js";
import { el } from "../data/words.js";

export class Tools {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.element = el("section", { class: "tools" });
  }

  /** @param {boolean} open */
  toggled(open) {
    const { meta } = this.view.store, known = new Set(meta.exports.map(([suffix]) => suffix));
    if (!open) return;
    this.element.replaceChildren(el("p", { class: "quiet hint" }, "Save the file, then open the tool and drop the file there. It stays on this computer: such a page reads it in the browser."),
      el("dl", { class: "tool-list" }, ...(meta.tools ?? []).filter(([suffix]) => known.has(suffix)).flatMap(([suffix, tool, address, act]) => {
        const name = `${meta.file}${suffix}`;
        return [el("dt", {}, tool), el("dd", {},
          el("button", { "aria-label": `Save ${name} for ${tool}`, onclick: () => exportAs(this.view, suffix) }, `Save ${name}`), " ",
          !address ? null : pageOf(address) === address ? el("code", {}, address) : el("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, pageOf(address)), address ? ": " : null,
          el("span", {}, act.replaceAll("FILE", name)))];
      })));
  }
}
