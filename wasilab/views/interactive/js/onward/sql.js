// A box for SQL queries. Python runs them (trace/sql/, one SELECT with limits); a row leads to its call, or to the
// calls that it summarises.

import { el, number } from "../data/words.js";

/**
 * @typedef {Object} Answer made by views/interactive/query_box.py
 * @property {string[]} columns @property {string[][]} rows @property {boolean[]} numbers which columns are numbers
 * @property {(number | string)[]} leads of each row: a row of the trace, or a filter, "" for nowhere @property {number} total rows of the whole answer
 */

export class SqlBox {
  /** @param {import("../timeline.js").TimelineView} view */
  constructor(view) {
    this.view = view;
    this.statement = el("textarea", { class: "mono", rows: 3, spellcheck: false, "aria-label": "Question in SQL", placeholder: "select call, count(*), sum(dur) from calls group by call", onkeydown: (/** @type {KeyboardEvent} */ event) => {
      event.stopPropagation();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.shiftKey)) {
        event.preventDefault();
        this.run();
      }
      if (event.key === "Escape") view.canvas.focus();
    } });
    this.examples = el("select", { "aria-label": "Examples", title: "Examples", onchange: () => {
      this.statement.value = this.examples.value || this.statement.value;
      this.examples.value = "";
      this.statement.focus();
    } });
    this.button = el("button", { title: "Ask (Ctrl+Enter)", onclick: () => this.run() }, "Ask");
    this.words = el("p", { class: "quiet hint", role: "status", "aria-live": "polite" }, "Views: calls, fds, paths, lines, output; times are ns. Choose a row to see its calls.");
    this.body = el("div", { class: "sql-answer" });
    this.element = el("section", { class: "sql" }, this.statement, el("div", { class: "sql-bar" }, this.button, this.examples, this.words), this.body);
  }

  /** @param {boolean} open */
  toggled(open) {
    if (!open) return;
    const wanted = [["", "examples…"], ...(this.view.store.meta.questions ?? [])];
    if (this.examples.options.length !== wanted.length) this.examples.replaceChildren(...wanted.map(([name, statement]) => el("option", { value: statement === "examples…" ? "" : statement }, statement === "examples…" ? statement : name)));
    if (!this.statement.value && wanted.length > 1) this.statement.value = wanted[1][1];
  }

  async run() {
    const statement = this.statement.value.trim();
    if (!statement || this.button.disabled) return;
    this.button.disabled = true;
    this.tell("Asking…");
    try {
      const { content } = await this.view.asker.ask("sql", { statement });
      this.fill(content.answer);
    } catch (error) {
      this.body.replaceChildren();
      this.tell(/** @type {Error} */ (error).message, true);
    }
    this.button.disabled = false;
  }

  /** @param {string} words @param {boolean} [wrong] */
  tell(words, wrong = false) {
    this.words.textContent = words;
    this.words.className = wrong ? "hint wrong" : "quiet hint";
    this.statement.setAttribute("aria-invalid", String(wrong));
  }

  /** @param {Answer} answer */
  fill({ columns, rows, numbers, leads, total }) {
    const kind = (/** @type {number} */ at) => (numbers[at] ? "n" : "mono");
    this.tell(`${number(total)} row${total === 1 ? "" : "s"}${rows.length < total ? `, the first ${rows.length} are shown` : ""}${leads.some((lead) => lead !== "") ? "; choose one to see its calls" : ""}`);
    this.body.replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...columns.map((name, at) => el("th", { class: kind(at), scope: "col" }, name)))),
      el("tbody", { onkeydown: (/** @type {KeyboardEvent} */ event) => this.key(event) }, ...rows.map((row, at) => {
        const lead = leads[at], leading = lead !== "";
        const title = !leading ? null : typeof lead === "number" ? `Show call ${number(lead + this.view.store.meta.dropped)}` : `Only: ${lead}`;
        return el("tr", { class: leading ? "leads" : null, tabIndex: leading ? (at === leads.findIndex((each) => each !== "") ? 0 : -1) : null, role: leading ? "button" : null, title, "aria-label": leading ? `${row.join(", ")}: ${title}` : null, onclick: () => this.go(lead) },
          ...row.map((text, column) => el("td", { class: kind(column), dir: "ltr" }, text)));
      }))));
  }

  /** @param {number | string} lead */
  go(lead) {
    if (typeof lead === "number") this.view.chooseRow(lead);
    else if (lead) this.view.filtering.apply(lead);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const lines = [...this.body.querySelectorAll("tr.leads")], at = lines.indexOf(/** @type {any} */ (event.target));
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") lines[at].click();
    else {
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
      if (to === undefined || !lines[to]) return;
      lines[at].tabIndex = -1;
      lines[to].tabIndex = 0;
      lines[to].focus();
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
