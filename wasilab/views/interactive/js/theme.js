// Light or dark, as the page around the widget is, and the colours of its style sheet for what is drawn on a canvas.

const COLOURS = ["bg", "fg", "dim", "warn", "bad", "good", "line", "stripe", "select", "shade", "link", "passed"];

/**
 * Follow the page around: the colour behind the widget decides.
 * @param {HTMLElement} host @param {HTMLElement} root in the widget's shadow @param {Record<string, string>} theme is filled
 */
export function retheme(host, root, theme) {
  let dark = false;
  for (let node = /** @type {Element | null} */ (host); node; node = node.parentElement ?? /** @type {any} */ (node.getRootNode()).host ?? null) {
    const parts = getComputedStyle(node).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (parts.length < 3 || parts[3] === 0) continue;
    dark = parts[0] * 0.3 + parts[1] * 0.59 + parts[2] * 0.11 < 128;
    break;
  }
  root.dataset.theme = dark ? "dark" : "light";
  const style = getComputedStyle(root);
  for (const name of COLOURS) theme[name] = style.getPropertyValue(`--${name}`).trim();
  theme.font = "11px system-ui, sans-serif";
}
