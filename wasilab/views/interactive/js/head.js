// The report's head above the timeline: how the run ended and what was refused, with buttons that start the program again
// with one more grant, show another run of it, or compare two. The HTML is made and escaped by Python (views/report/).

import { el } from "./data/words.js";

/** @param {import("./timeline.js").TimelineView} view @returns {HTMLElement} */
export function makeHead(view) {
  return el("div", { class: "head-html", onclick: (/** @type {MouseEvent} */ event) => {
    const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button"));
    if (button) press(view, button);
  } });
}

/** @param {import("./timeline.js").TimelineView} view @param {HTMLElement} button */
async function press(view, button) {
  const { grant, show, compare } = button.dataset;
  button.setAttribute("disabled", "");
  try {
    if (compare !== undefined) {
      const { content } = await view.asker.ask("compare", { run: Number(compare) });
      const box = el("div", { class: "compared" });
      box.innerHTML = content.html; // made and escaped by views/report/reruns.py
      view.head.querySelector(".compared")?.remove();
      view.head.append(box);
      button.removeAttribute("disabled");
      return;
    }
    if (grant !== undefined) {
      view.say("Running again with that grant…");
      await view.asker.ask("grant", { refusal: Number(grant) });
    } else await view.asker.ask("show", { run: Number(show) });
    view.navigator.fit();
    view.fetchCalls();
  } catch (error) {
    button.removeAttribute("disabled");
    view.say(/** @type {Error} */ (error).message, true);
  }
}
