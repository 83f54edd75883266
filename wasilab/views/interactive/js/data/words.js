// Formats numbers and names for display, in the same way as text/numbers.py.
// Not for guest text: that arrives already made visible by text/escape.py and is only ever set as textContent.

/** @param {number} ns @returns {string} a duration, three figures: "830 ns", "1.24 ms" */
export function duration(ns) {
  if (ns < 0) return "-" + duration(-ns);
  if (ns < 999.5) return `${Math.round(ns)} ns`;
  for (const [unit, size] of /** @type {[string, number][]} */ ([["µs", 1e3], ["ms", 1e6], ["s", 1e9]])) {
    const value = ns / size;
    if (value < (unit === "s" ? 119.5 : 999.5)) return `${value.toFixed(value >= 99.5 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
  }
  const seconds = Math.round(ns / 1e9);
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/**
 * A point in time, with as many figures as tell points `step` ns apart from each other.
 * @param {number} ns @param {number} step
 * @param {number} [of] the time that chooses the unit: the end of its axis or column
 * @returns {string}
 */
export function instant(ns, step, of = ns) {
  const top = Math.max(Math.abs(of), step);
  const [unit, size] = top < 1e3 ? ["ns", 1] : top < 1e6 ? ["µs", 1e3] : top < 1e9 ? ["ms", 1e6] : ["s", 1e9];
  const figures = Math.max(0, Math.min(9, Math.ceil(-Math.log10(step / Number(size)) - 1e-9)));
  return `${(ns / Number(size)).toFixed(figures)} ${unit}`;
}

/** @param {number} count @returns {string} "16 B", "4.0 KiB" */
export function bytes(count) {
  if (count < 1024) return `${count} B`;
  let value = count;
  for (const unit of ["KiB", "MiB", "GiB"]) {
    value /= 1024;
    if (value < 1023.95) return `${value.toFixed(1)} ${unit}`;
  }
  return `${(value / 1024).toFixed(1)} TiB`;
}

/** @param {number} count @returns {string} "1,000,000" */
export function number(count) {
  return count.toLocaleString("en-US");
}

/** @param {number} count @param {string} noun @returns {string} "1 call", "12 calls" */
export function counted(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number} span ns @param {number} most ticks @returns {number} a round step for an axis: 1, 2 or 5 times 10^n */
export function roundStep(span, most) {
  const least = span / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-9)));
  for (const factor of [1, 2, 5, 10]) if (factor * power >= least) return factor * power;
  return 10 * power;
}

/** @param {string} text such as "FD_READ|FD_SEEK" @returns {(Node | string)[]} that may be broken after each bar */
export function breakable(text) {
  return text.split(/(?<=\|)/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));
}

/**
 * An element: tag, properties and attributes, children. Strings become text nodes, never markup.
 * @param {string} tag @param {Record<string, any>} [properties] @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && !key.startsWith("aria")) /** @type {any} */ (node)[key] = value;
    else node.setAttribute(key, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}
