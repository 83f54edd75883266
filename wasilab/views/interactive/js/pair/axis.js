// The calls of one of two runs, with its row in their difference, on one of two axes: time, or the calls themselves.
// On the axis of calls each row of the difference has one place, so calls that are the same stand one above the other.

import { CallStore } from "../data/store.js";

export const CALL = 100; // length of a call on the axis of calls
export const CHANGED = 8, LONE = 16;
/** Further bits of `verdict`: what became of a call from one run to the other. */

const SAME_KIND = 0, CHANGED_KIND = 1;

export class Side {
  /** @param {number} total rows of the difference */
  constructor(total) {
    this.store = new CallStore();
    /** @type {Uint32Array} the row of each call in the difference */
    this.rows = new Uint32Array(0);
    this.calls = new Int32Array(total).fill(-1); // the call of each row of the difference, -1 for none
    this.time = { start: new Float64Array(0), dur: new Float32Array(0) };
  }

  /** @param {number} row of the difference @returns {number} its call here, -1 for none */
  callOf(row) {
    return this.calls[row] ?? -1;
  }

  /** Calls whose columns have come. */
  get length() {
    return this.store.length;
  }

  /** @param {DataView[]} buffers the columns, then the rows in the difference and the kinds @param {number} count */
  append(buffers, count) {
    const { store } = this, at = store.length, rows = new Uint32Array(at + count);
    store.start = this.time.start.length ? this.time.start : store.start;
    store.dur = this.time.dur.length ? this.time.dur : store.dur;
    store.append(buffers.slice(0, 7), count);
    rows.set(this.rows);
    for (let i = 0; i < count; i++) {
      rows[at + i] = buffers[7].getUint32(4 * i, true);
      if (rows[at + i] < this.calls.length) this.calls[rows[at + i]] = at + i;
      const kind = buffers[8].getUint8(i);
      store.verdict[at + i] |= kind === SAME_KIND ? 0 : kind === CHANGED_KIND ? CHANGED : LONE;
    }
    this.rows = rows;
    this.time = { start: store.start, dur: store.dur };
  }

  /**
   * Put the calls on an axis.
   * @param {string} axis "time" or "calls" @param {number} span of the axis
   */
  place(axis, span) {
    const { store } = this;
    if (axis === "time") Object.assign(store, this.time);
    else {
      store.start = Float64Array.from(this.rows, (row) => row * CALL + CALL * 0.06);
      store.dur = new Float32Array(this.rows.length).fill(CALL * 0.88);
    }
    store.meta.span = span;
    store.version += 1;
  }
}
