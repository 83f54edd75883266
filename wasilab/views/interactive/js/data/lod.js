// Level of detail: any number of calls as at most one cell a pixel and lane, quickly enough for every frame.
// Zoomed out it reads bins made once; zoomed in it reads the visible calls themselves. Draws nothing.

import { CallStore } from "./store.js";

const BASE = 1 << 14; // bins over the whole span

/**
 * @typedef {Object} Cells one lane as drawn: a cell a pixel
 * @property {Float32Array} busy   0..1, the part of the pixel's time in which the lane was busy
 * @property {Uint32Array} count   calls that start in the pixel
 * @property {Uint8Array} flags    verdict bits of those calls
 */

export class LevelOfDetail {
  /** @param {CallStore} store */
  constructor(store) {
    this.store = store;
    /** @type {(row: number) => number} */
    this.laneOf = () => 0;
    this.lanes = 1;
    this.hide = false;
    this.key = "";
    /** @type {Float32Array} */ this.busy = new Float32Array(0);
    /** @type {Uint32Array} */ this.count = new Uint32Array(0);
    /** @type {Uint8Array} */ this.flags = new Uint8Array(0);
    this.rowLane = new Uint16Array(0); // 0xffff: hidden by the filter
    this.cells = { busy: new Float32Array(0), count: new Uint32Array(0), flags: new Uint8Array(0) };
  }

  /**
   * Which lane each call is in. Lane 0 is the guest's own time.
   * @param {number} lanes @param {(row: number) => number} laneOf @param {string} name of the arrangement
   */
  arrange(lanes, laneOf, name) {
    this.lanes = lanes;
    this.laneOf = laneOf;
    this.name = name;
    this.key = "";
  }

  /** Make the lane of each row and the bins, if anything changed. */
  prepare() {
    const { store, lanes } = this;
    const key = `${store.version} ${this.name} ${lanes} ${this.hide}`;
    if (key === this.key) return;
    this.key = key;
    const n = store.length, span = store.span;
    const rowLane = new Uint16Array(n);
    for (let i = 0; i < n; i++) rowLane[i] = this.hide && store.mask && !store.mask[i] ? 0xffff : this.laneOf(i);
    this.rowLane = rowLane;
    this.busy = new Float32Array(BASE * lanes);
    this.count = new Uint32Array(BASE * lanes);
    this.flags = new Uint8Array(BASE * lanes);
    if (!store.meta.window) this.fill(0, n, 0, span, BASE, this.busy, this.count, this.flags);
  }

  /**
   * Add rows [low, high) into cells of `width` bins over [from, to). Busy is counted in bins (1 = the whole bin).
   * @param {number} low @param {number} high @param {number} from @param {number} to @param {number} width
   * @param {Float32Array} busy @param {Uint32Array} count @param {Uint8Array} flags
   */
  fill(low, high, from, to, width, busy, count, flags) {
    const { start, dur, verdict } = this.store;
    const rowLane = this.rowLane, scale = width / (to - from);
    let guest = low > 0 ? Math.max(from, start[low - 1] + dur[low - 1]) : this.store.first > 0 ? Math.max(from, start[0]) : from;
    for (let i = low; i < high; i++) {
      const begin = start[i], end = begin + dur[i];
      if (begin > guest) addSpan(busy, 0, width, (guest - from) * scale, (begin - from) * scale);
      if (end > guest) guest = end;
      const lane = rowLane[i];
      if (lane === 0xffff) continue;
      const left = (begin - from) * scale, right = (end - from) * scale, row = lane * width;
      const cell = left | 0;
      if (left >= 0 && cell < width) {
        count[row + cell] += 1;
        flags[row + cell] |= verdict[i];
      }
      if (left >= 0 && right < cell + 1) busy[row + cell] += right - left;
      else addSpan(busy, row, width, left, right);
    }
    const last = high < this.store.length ? Math.min(start[high], to) : Math.min(this.store.guestEnd, to);
    if (last > guest) addSpan(busy, 0, width, (guest - from) * scale, (last - from) * scale);
  }

  /**
   * The cells of the view: `width` pixels over [from, to) ns.
   * @param {number} from @param {number} to @param {number} width
   * @returns {{cells: Cells, low: number, high: number, width: number}} low..high: the rows that are visible
   */
  view(from, to, width) {
    this.prepare();
    const { store, lanes } = this;
    const size = width * lanes;
    if (this.cells.busy.length < size)
      this.cells = { busy: new Float32Array(size), count: new Uint32Array(size), flags: new Uint8Array(size) };
    const { busy, count, flags } = this.cells;
    busy.fill(0, 0, size);
    count.fill(0, 0, size);
    flags.fill(0, 0, size);
    // Calls do not nest, so only the one before the first visible can reach into the view (several threads: a few).
    const low = Math.max(0, store.firstAt(from) - 64), high = store.firstAt(to);
    const span = store.span, binsInView = ((to - from) / span) * BASE;
    const overview = store.overview;
    if (overview && !store.covers(from, to)) this.resample(overview.busy, overview.count, overview.flags, overview.bins, from, to, width);
    else if (!store.meta.window && binsInView >= width * 2 && high - low > 20000) this.resample(this.busy, this.count, this.flags, BASE, from, to, width);
    else this.fill(low, high, from, to, width, busy, count, flags);
    return { cells: this.cells, low, high, width };
  }

  /**
   * @param {Float32Array} busy @param {Uint32Array} count @param {Uint8Array} flags @param {number} bins
   * @param {number} from @param {number} to @param {number} width
   */
  resample(busy, count, flags, bins, from, to, width) {
    const span = this.store.span, out = this.cells;
    const first = Math.max(0, Math.floor((from / span) * bins)), last = Math.min(bins, Math.ceil((to / span) * bins));
    const scale = width / (((to - from) / span) * bins), offset = (from / span) * bins;
    const lanes = Math.min(this.lanes, Math.floor(busy.length / bins));
    for (let lane = 0; lane < lanes; lane++) {
      const source = lane * bins, target = lane * width;
      for (let bin = first; bin < last; bin++) {
        const left = (bin - offset) * scale, cell = Math.min(width - 1, Math.max(0, left | 0));
        if (count[source + bin]) {
          out.count[target + cell] += count[source + bin];
          out.flags[target + cell] |= flags[source + bin];
        }
        const part = busy[source + bin];
        if (part > 0) {
          if (scale <= 1) out.busy[target + cell] += part * scale;
          else for (let c = cell; c < Math.min(width, left + scale); c++) out.busy[target + c] = Math.max(out.busy[target + c], part);
        }
      }
    }
  }
}

/**
 * Add the part of each cell that [left, right) covers, in cells.
 * @param {Float32Array} busy @param {number} row offset of the lane @param {number} width
 * @param {number} left @param {number} right
 */
function addSpan(busy, row, width, left, right) {
  if (left < 0) left = 0;
  if (right > width) right = width;
  if (right <= left) return;
  const first = left | 0, last = Math.min(right | 0, width - 1);
  if (first === last) {
    busy[row + first] += right - left;
    return;
  }
  busy[row + first] += first + 1 - left;
  for (let cell = first + 1; cell < last; cell++) busy[row + cell] = 1;
  busy[row + last] += right - last;
}
