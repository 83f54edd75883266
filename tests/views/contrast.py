"""Contrast as WCAG 2.2 defines it, for the tests of what is drawn on light and dark pages."""

from __future__ import annotations

PALE_WORDS = """(root, least) => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r / 255, g / 255, b / 255, a];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[3] * top[i] + (1 - top[3]) * below[i]).concat([1]);
  const part = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const above = (node) => node.parentElement ?? node.getRootNode().host ?? null;
  const paper = (node) => {
    const layers = [];
    for (let at = node; at; at = above(at)) {
      layers.push(parse(getComputedStyle(at).backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [1, 1, 1, 1]);
  };
  const found = [];
  for (const node of root.querySelectorAll("*")) {
    const texts = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.textContent.trim());
    const words = node.value || texts.join(" ");
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    const unseen = !box.width || !box.height || style.visibility !== "visible";
    if (!words || unseen || node.closest(":disabled, style, option")) continue;
    let opacity = 1;
    for (let at = node; at; at = above(at)) opacity *= Number(getComputedStyle(at).opacity);
    const below = paper(node), [r, g, b, a] = parse(style.color), seen = over([r, g, b, a * opacity], below);
    const [low, high] = [luminance(seen), luminance(below)].sort((x, y) => x - y), ratio = (high + 0.05) / (low + 0.05);
    if (ratio < least) found.push(`${words.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
"""JavaScript: the words in an element of a page that have too little contrast; not those of disabled controls."""
Colour = tuple[float, float, float, float]
"""Red, green, blue and opacity, 0 to 1."""
NAMED = {"white": "#ffffff", "black": "#000000"}


def read(text: str) -> Colour:
    """A colour of a style sheet: "#rgb", "#rrggbb" or "#rrggbbaa", or "rgb(…)" as a browser reports it."""
    text = NAMED.get(text, text)
    if text.startswith("rgb"):
        parts = [float(part) for part in text[text.index("(") + 1 : -1].replace("/", ",").split(",")]
        return (parts[0] / 255, parts[1] / 255, parts[2] / 255, parts[3] if len(parts) > 3 else 1.0)
    digits = text.removeprefix("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    red, green, blue, *alpha = (int(digits[at : at + 2], 16) / 255 for at in range(0, len(digits), 2))
    return (red, green, blue, alpha[0] if alpha else 1.0)


def over(colour: Colour, below: Colour) -> Colour:
    """What is seen of a colour on an opaque one."""
    alpha = colour[3]
    red, green, blue = (alpha * top + (1 - alpha) * under for top, under in zip(colour[:3], below[:3], strict=True))
    return (red, green, blue, 1.0)


def luminance(colour: Colour) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """1 (none) to 21 (black on white)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
