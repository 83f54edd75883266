// A list of folders that is walked with the keyboard or the mouse. Python lists; here it is shown and steered.
// Names come from the disk and may hold anything: they are only ever set as text.

const KEYS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

/** @param {number} now @param {string} key @param {number} count @returns {number} the entry that a key leads to */
export function moved(now, key, count) {
  const start = now < 0 && KEYS[key] > 0 ? -1 : Math.max(now, 0);
  return count ? Math.min(count - 1, Math.max(0, start + KEYS[key])) : -1;
}

/** @param {string[]} names @param {string} typed @param {number} now @returns {number} the next name that begins so */
export function found(names, typed, now) {
  const begins = (name) => name.toLowerCase().startsWith(typed.toLowerCase());
  const start = typed.length > 1 ? Math.max(now, 0) : now + 1; // a longer beginning may be of the same name
  for (let i = 0; i < names.length; i++) {
    const at = (start + i) % names.length;
    if (begins(names[at])) return at;
  }
  return now;
}

function render({ model, el }) {
  const make = (tag, name, text = "") => Object.assign(document.createElement(tag), { className: name, textContent: text });
  const crumbs = make("nav", "wasilab-crumbs"), list = make("div", "wasilab-folders"), foot = make("div", "wasilab-dim");
  const prefix = `wl${Math.random().toString(36).slice(2)}`;
  let typed = "", stale = 0;
  crumbs.setAttribute("aria-label", "the folders above");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "folders: the arrow keys choose, Enter opens, Backspace goes up");
  list.tabIndex = 0;
  // JupyterLab has shortcuts of one letter: none of them may hear what is typed here.
  el.dataset.lmSuppressShortcuts = "true";
  el.append(crumbs, list, foot);

  const choose = (at) => { model.set("chosen", at); model.save_changes(); };
  const send = (message) => model.send(message);

  function mark() {
    const chosen = model.get("chosen");
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === chosen)));
    const item = list.children[chosen];
    if (item?.id) list.setAttribute("aria-activedescendant", item.id);
    else list.removeAttribute("aria-activedescendant");
    item?.scrollIntoView({ block: "nearest" });
  }

  function fill() {
    crumbs.replaceChildren(...model.get("crumbs").map((name, at, all) => {
      const button = make("button", "wasilab-crumb", name);
      button.type = "button";
      if (at === all.length - 1) button.setAttribute("aria-current", "location");
      button.onclick = () => { send({ crumb: at }); list.focus(); };
      return button;
    }));
    list.replaceChildren(...model.get("entries").map(([name, note], at) => {
      const item = make("div", "wasilab-folder");
      item.id = `${prefix}-${at}`;
      item.setAttribute("role", "option");
      const open = make("button", "wasilab-open", "open ▸");
      Object.assign(open, { type: "button", tabIndex: -1, title: "look into it" });
      open.onclick = (event) => { event.stopPropagation(); send({ open: at }); list.focus(); };
      item.append(make("span", "wasilab-folder-name", name), make("span", "wasilab-dim", note), open);
      item.onclick = () => { choose(at); list.focus(); };
      item.ondblclick = () => send({ open: at });
      return item;
    }));
    foot.textContent = model.get("summary");
    mark();
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const chosen = model.get("chosen"), entries = model.get("entries");
    if (event.key in KEYS) choose(moved(chosen, event.key, entries.length));
    else if ((event.key === "Enter" || event.key === "ArrowRight") && chosen >= 0) send({ open: chosen });
    else if (event.key === "Backspace" || event.key === "ArrowLeft") send({ up: true });
    else if (event.key === "Escape") choose(-1);
    else if (event.key.length === 1) {
      typed = event.timeStamp - stale > 1000 ? event.key : typed + event.key;
      stale = event.timeStamp;
      choose(found(entries.map(([name]) => name), typed, chosen));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  list.addEventListener("keydown", key);
  model.on("change:entries change:crumbs change:summary", fill);
  model.on("change:chosen", mark);
  fill();
  // Opened by a click in the panel, the keyboard continues in it; in a notebook that is only reopened it does not.
  requestAnimationFrame(() => {
    if (!document.activeElement?.closest(".wasilab-panel")) return;
    list.focus({ preventScroll: true });
    (el.closest(".wasilab-box") ?? el).scrollIntoView({ block: "nearest" });
  });
  return () => {
    model.off("change:entries change:crumbs change:summary", fill);
    model.off("change:chosen", mark);
  };
}

export default { render };
