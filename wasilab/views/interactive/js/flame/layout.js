// A tree of stacks as a flame graph: the place of each frame, as parts of the width. Draws nothing.

/**
 * @typedef {Object} Frame  made by views/interactive/maps.py
 * @property {number} depth @property {string} name @property {string} place @property {string} term @property {boolean} folder  whether it is a function, not a call
 * @property {number} time ns @property {number} calls @property {number} bytes @property {number} refused
 */

/** @param {any[]} row @returns {Frame} */
export function frame([depth, name, place, term, folder, time, calls, bytes, refused]) {
  return { depth, name, place, term, folder, time, calls, bytes, refused };
}

/**
 * @param {Frame[]} frames each before what it called @param {"time" | "calls" | "bytes"} weight
 * @param {number} [least] the part of the width below which a frame is left out
 * @returns {{at: number, left: number, width: number}[]} parts of the width, 0..1
 */
export function flame(frames, weight, least = 0.001) {
  let total = 0;
  for (const one of frames) if (one.depth === 0) total += one[weight];
  if (!total) return [];
  const found = [];
  /** @type {number[]} */
  const next = [0]; // where the next frame of each depth begins
  for (const [at, one] of frames.entries()) {
    const left = next[one.depth] ?? 0;
    next[one.depth] = left + one[weight];
    next[one.depth + 1] = left;
    next.length = one.depth + 2;
    if (one[weight] / total >= least) found.push({ at, left: left / total, width: one[weight] / total });
  }
  return found;
}
