// The lanes of the timeline, by family or by descriptor, and the signs of verdicts. draw.js draws them.

import { CallStore, INJECTED, REFUSED } from "./data/store.js";

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
 * The sign of a verdict, in its colour on a halo.
 * @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} verdict
 * @param {CallStore["meta"]} meta @param {string} halo
 */
export function glyph(g, x, y, verdict, meta, halo) {
  const kind = verdict & REFUSED ? "refused" : verdict & INJECTED ? "injected" : "failed";
  g.beginPath();
  for (const [px, py] of meta.signs[kind].outline) g.lineTo(x + 5 * px, y + 5 * py);
  g.closePath();
  g.strokeStyle = halo;
  g.lineWidth = 2.5;
  g.stroke();
  g.fillStyle = meta.colours[kind];
  g.fill();
}
