// The lanes of the timeline, by family or by descriptor, and the signs of verdicts. draw.js draws them.

import { CallStore, INJECTED, LIFE_BITS, REFUSED } from "./data/store.js";

/**
 * @typedef {Object} Lane
 * @property {string} label
 * @property {string} colour
 * @property {number} [from] ns: a bar behind the calls, the life of a descriptor
 * @property {number} [to]
 * @property {boolean} [output] the lane of text
 * @property {boolean} [mixed] its calls are of several families, each in its own colour
 */

/** The lanes of the ends of a passed descriptor, -1 for none. @typedef {(flow: import("./passed/arrows.js").Flow) => [number, number]} LanesOfFlow */

/**
 * @param {CallStore} store @param {string} mode "family", "fd" or "instance"
 * @returns {{lanes: Lane[], laneOf: (row: number) => number, lanesOfFlow?: LanesOfFlow}}
 */
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
  if (mode === "instance") {
    const names = meta.instances ?? [];
    for (const name of names) lanes.push({ label: name, colour: colours.fd, mixed: true });
    const laneOf = (/** @type {string} */ name) => names.indexOf(name) + 1 || -1;
    return { lanes, laneOf: (row) => Math.min(store.handle[row] >>> LIFE_BITS, names.length - 1) + 1,
      lanesOfFlow: ([, , giver, , , taker, , life]) => [laneOf(meta.passed?.words[giver] ?? ""), life ? laneOf(meta.passed?.words[taker] ?? "") : -1] };
  }
  lanes.push({ label: "no fd", colour: colours.proc });
  const laneOfLife = new Map([[0, 1]]), most = meta.lanes ?? meta.lives.length;
  for (const [at] of meta.instances?.entries() ?? []) laneOfLife.set(at * 2 ** LIFE_BITS, 1);
  for (const [at, label] of meta.passed?.forged.entries() ?? []) {
    laneOfLife.set(-1 - at, lanes.length);
    lanes.push({ label: `${label}: not open`, colour: colours.refused });
  }
  for (const life of meta.lives.slice(0, most)) {
    laneOfLife.set(life.life, lanes.length);
    lanes.push({ label: life.label, colour: colours.fd, mixed: true, from: life.from, to: life.to ?? Infinity });
  }
  if (meta.lives.length > most) lanes.push({ label: `${meta.lives.length - most} more`, colour: colours.fd });
  const rest = meta.lives.length > most ? lanes.length - 1 : 1;
  if (meta.output.length) lanes.push({ label: "output", colour: colours.guest, output: true });
  const laneOf = (/** @type {number} */ life) => laneOfLife.get(life) ?? rest;
  return { lanes, laneOf: (row) => laneOf(store.handle[row]), lanesOfFlow: (flow) => [laneOf(flow[4]), flow[7] ? laneOf(flow[7]) : -1] };
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
