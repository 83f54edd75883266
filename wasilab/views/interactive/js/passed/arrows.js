// Descriptors that the instances of a lab passed to each other, as arrows from the giver's lane to the receiver's; a number
// that was refused is a cross in a lane of its own. Draws those in sight and finds the one under the pointer.

import { RULER } from "../draw.js";
import { glyph } from "../lanes.js";
import { CallStore, REFUSED } from "../data/store.js";
import { instant } from "../data/words.js";

/**
 * @typedef {Object} Passed made by views/interactive/feed.py
 * @property {string[]} words  every text below, once
 * @property {Flow[]} rows     in the order of time
 * @property {number} more     further ones, which are not drawn
 * @property {string[]} forged names of lanes: numbers that were refused
 * @typedef {[number, number, number, number, number, number, number, number, number, number, number]} Flow
 *   ns, call, giver, its descriptor, its life (below 0: a lane of `forged`), receiver, its descriptor, its life (0: refused),
 *   rights withheld, 1 if the receiver kept it, row of the call (-1: unknown); texts are places in `words`
 * @typedef {{x: number, from: number, to: number, bend: number}} Curve  CSS pixels; to: NaN for a refused number
 */

const REACH = 5; // pixels around an arrow that belong to it
const APART = 3; // pixels between two arrows of the same lanes, of which one is drawn if they are nearer

export class Arrows {
  /** @param {CallStore} store @param {import("../draw.js").Painter} painter */
  constructor(store, painter) {
    this.store = store;
    this.painter = painter;
    /** @type {import("../lanes.js").LanesOfFlow | undefined} none in an arrangement whose lanes are not holders of descriptors */
    this.lanesOf = undefined;
    this.hover = -1;
    this.chosen = -1;
    this.drawn = 0; // by the last frame
    painter.between = (g, view) => this.paint(g, view);
  }

  /** @returns {Flow[]} */
  get flows() {
    return this.store.meta.passed?.rows ?? [];
  }

  /** The first flow at or after a time. @param {number} ns */
  firstAt(ns) {
    let low = 0, high = this.flows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.flows[middle][0] < ns) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where a flow is drawn; null where both its ends are in one lane. @param {import("../draw.js").View} view @param {number} at @returns {Curve | null} */
  place(view, at) {
    const { painter } = this, [from, to] = this.lanesOf?.(this.flows[at]) ?? [-1, -1];
    if (from < 0 || from === to) return null;
    const x = painter.x(view, this.flows[at][0]), middle = (/** @type {number} */ lane) => RULER + (lane + 0.5) * painter.laneHeight - view.scroll;
    const bend = Math.min(18, 4 + Math.abs(to - from) * 4);
    return { x, from: middle(from), to: to < 0 ? NaN : middle(to), bend: x + bend > painter.width - 4 ? -bend : bend };
  }

  /** @param {CanvasRenderingContext2D} g @param {import("../draw.js").View} view */
  paint(g, view) {
    this.drawn = 0;
    if (!this.lanesOf || !this.flows.length) return;
    const { theme, lanes, gutter, height, width } = this.painter, margin = (view.to - view.from) * 0.03, meta = this.store.meta;
    const last = this.firstAt(view.to + margin), seen = new Set();
    /** @type {Curve[]} */
    const curves = [];
    for (let at = this.firstAt(view.from - margin); at < last; at++) {
      const [from, to] = this.lanesOf(this.flows[at]), near = Math.floor(this.painter.x(view, this.flows[at][0]) / APART);
      const key = (near * (lanes.length + 2) + from) * (lanes.length + 2) + to;
      if (seen.has(key)) continue;
      seen.add(key);
      const curve = this.place(view, at);
      if (!curve || Math.max(curve.from, curve.to) < RULER || Math.min(curve.from, Number.isNaN(curve.to) ? curve.from : curve.to) > height) continue;
      if (curve.x >= gutter && curve.x <= width) curves.push(curve);
    }
    g.lineJoin = "round";
    for (const [colour, wide] of /** @type {[string, number][]} */ ([[theme.bg, 4.5], [theme.passed, 1.8]])) trace(g, curves, colour, wide);
    for (const one of curves) if (Number.isNaN(one.to)) glyph(g, one.x, one.from, REFUSED, meta, theme.bg);
    for (const [at, wide] of [[this.hover, 2.2], [this.chosen, 2.8]]) {
      const curve = at >= 0 && at < this.flows.length ? this.place(view, at) : null;
      if (!curve || curve.x < gutter || curve.x > width) continue;
      trace(g, [curve], theme.bg, wide + 4);
      trace(g, [curve], theme.fg, wide);
      if (Number.isNaN(curve.to)) {
        glyph(g, curve.x, curve.from, REFUSED, meta, theme.bg);
        g.strokeStyle = theme.fg;
        g.lineWidth = 2;
        g.strokeRect(curve.x - 9, curve.from - 9, 18, 18);
      }
    }
    this.drawn = curves.length;
  }

  /** The flow whose arrow or cross is at a point, -1 for none. @param {import("../draw.js").View} view @param {number} x @param {number} y */
  at(view, x, y) {
    if (!this.lanesOf || x < this.painter.gutter || y < RULER) return -1;
    const from = this.painter.time(view, x - 30), last = this.firstAt(this.painter.time(view, x + 30));
    let best = -1, least = REACH;
    for (let at = this.firstAt(from); at < last; at++) {
      const curve = this.place(view, at);
      if (!curve) continue;
      const away = Number.isNaN(curve.to) ? Math.hypot(x - curve.x, y - curve.from) / 1.6 : distance(curve, x, y);
      if (away < least) [best, least] = [at, away];
    }
    return best;
  }

  /** What a flow is, in lines; the first is its title. @param {number} at @returns {string[]} */
  words(at) {
    const { words } = /** @type {Passed} */ (this.store.meta.passed), [ns, call, , giver, , receiver, taker, life, withheld, kept] = this.flows[at];
    const when = `at ${instant(ns, Math.max(this.store.span / 1e5, 1), this.store.span)}`, by = words[call] === "channel" ? "through a channel" : `in the call ${words[call]}`;
    if (!life) return [`${words[giver]} → ${words[receiver]}: refused`, "the number is not an open descriptor", `${by}, which was not entered`, when];
    return [`${words[giver]} → ${words[taker]}`, words[withheld] ? `rights withheld: ${words[withheld]}` : "with all its rights", `${by}; ${kept ? "kept" : "lent until the call returned"}`, when];
  }
}

/** How far a point is from a curve. @param {Curve} curve @param {number} x @param {number} y @returns {number} pixels, to the side */
export function distance({ x: from, from: top, to: bottom, bend }, x, y) {
  const part = (y - top) / (bottom - top); // the curve runs down evenly: its inner points are at a third and two thirds
  return part < -0.05 || part > 1.05 ? Infinity : Math.abs(x - from - 3 * bend * part * (1 - part));
}

/** @param {CanvasRenderingContext2D} g @param {Curve[]} curves @param {string} colour @param {number} wide */
function trace(g, curves, colour, wide) {
  g.strokeStyle = g.fillStyle = colour;
  g.lineWidth = wide;
  g.beginPath();
  for (const { x, from, to, bend } of curves) {
    if (Number.isNaN(to)) continue;
    g.moveTo(x, from);
    g.bezierCurveTo(x + bend, from + (to - from) / 3, x + bend, from + ((to - from) * 2) / 3, x, to);
  }
  g.stroke();
  g.beginPath();
  for (const { x, from, to, bend } of curves) {
    if (Number.isNaN(to)) continue;
    g.moveTo(x + 3, from);
    g.arc(x, from, 3 + (wide > 4 ? 1 : 0), 0, 7);
    const far = Math.hypot(3 * bend, to - from), along = [(-3 * bend) / far, (to - from) / far], size = 7 + wide / 2;
    g.moveTo(x, to);
    for (const side of [-0.5, 0.5]) g.lineTo(x - size * (along[0] + side * along[1]), to - size * (along[1] - side * along[0]));
    g.closePath();
  }
  g.fill();
  if (wide > 4) g.stroke();
}
