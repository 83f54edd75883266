// The lanes of the timeline, by family or by descriptor, and the signs of verdicts. Where they are drawn is draw.js's affair.

import { CallStore, FAILED, INJECTED, REFUSED } from "./store.js";

const MOST_LANES = 400;

/**
 * @typedef {Object} Lane
 * @property {string} label
 * @property {string} colour
 * @property {number} [from] ns: a bar behind the calls, the life of a descriptor
 * @property {number} [to]
 * @property {boolean} [output] the lane of text
 */

/** @param {CallStore} store @param {string} mode "family" or "fd" @returns {{lanes: Lane[], laneOf: (row: number) => number}} */
export function arrange(store, mode) {
  const { meta } = store, colours = meta.colours;
  /** @type {Lane[]} */
  const lanes = [{ label: "guest", colour: colours.guest }];
  if (mode === "family") {
    for (const family of meta.families) lanes.push({ label: family, colour: colours[family] });
    if (meta.output.length) lanes.push({ label: "output", colour: colours.guest, output: true });
    const families = Uint8Array.from(meta.names, (name) => name[1] + 1);
    return { lanes, laneOf: (row) => families[store.call[row]] };
  }
  lanes.push({ label: "no fd", colour: colours.proc });
  const laneOfLife = new Map([[0, 1]]);
  for (const life of meta.lives.slice(0, MOST_LANES)) {
    laneOfLife.set(life.life, lanes.length);
    lanes.push({ label: life.label, colour: colours.fd, from: life.from, to: life.to ?? Infinity });
  }
  if (meta.lives.length > MOST_LANES) lanes.push({ label: `${meta.lives.length - MOST_LANES} more`, colour: colours.fd });
  const rest = meta.lives.length > MOST_LANES ? lanes.length - 1 : 1;
  if (meta.output.length) lanes.push({ label: "output", colour: colours.guest, output: true });
  return { lanes, laneOf: (row) => laneOfLife.get(store.handle[row]) ?? rest };
}

/**
 * The sign of a verdict: a cross for refused, a bar for another errno, a diamond for injected.
 * @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} verdict
 * @param {Record<string, string>} colours @param {string} halo
 */
export function glyph(g, x, y, verdict, colours, halo) {
  const draw = (/** @type {string} */ style, /** @type {number} */ wide) => {
    g.strokeStyle = style;
    g.lineWidth = wide;
    g.beginPath();
    if (verdict & REFUSED) {
      g.moveTo(x - 4, y - 4);
      g.lineTo(x + 4, y + 4);
      g.moveTo(x + 4, y - 4);
      g.lineTo(x - 4, y + 4);
    } else if (verdict & INJECTED) {
      g.moveTo(x, y - 5);
      g.lineTo(x + 4, y);
      g.lineTo(x, y + 5);
      g.lineTo(x - 4, y);
      g.closePath();
    } else if (verdict & FAILED) {
      g.moveTo(x, y - 5);
      g.lineTo(x, y + 5);
    }
    g.stroke();
  };
  draw(halo, 5);
  draw(verdict & REFUSED ? colours.refused : verdict & INJECTED ? colours.injected : colours.failed, 2.4);
}
