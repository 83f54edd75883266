// The calls of one run as typed arrays, in the order of their start, and the queries of the views.
// Filled by binary buffers from Python (views/interactive/feed.py): a saved snapshot first, then the columns. It does not draw.

/**
 * @typedef {Object} Meta what is not a column; made by views/interactive/feed.py
 * @property {number} calls       calls that the trace holds
 * @property {number} dropped     calls before the first one held
 * @property {number} span        ns from the start of the run to its end
 * @property {string} ending      "" or the word for the mark at the end: "trap", "limit", "stopped"
 * @property {string} title
 * @property {string} file       the beginning of the name of an exported file
 * @property {string[]} families  the lanes, in order
 * @property {[string, number, string, string][]} names  by call number: name, index of family, link, summary
 * @property {string[]} errnos    by number
 * @property {string[]} deniedBy  by number
 * @property {Life[]} lives       openings of descriptors
 * @property {number} [lanes]     how many of them have a lane of their own
 * @property {string[]} [instances]  the names of the instances of a lab; their number is in the upper bits of a life
 * @property {import("../passed/arrows.js").Passed} [passed]  descriptors that instances passed to each other
 * @property {[number, number, string, string][]} output  seq, ns, stream, text
 * @property {boolean} live       the guest is still running
 * @property {boolean} [snapshots]  the memory at each call is wanted
 * @property {boolean} thin       the columns are not all in the snapshot: ask for them
 * @property {[string, string][]} exports  suffix and name of each export
 * @property {number} window      calls held of a run too large to hold, around what is looked at; 0 for all
 * @property {number} [ended]     ns, when the run itself ended, if the axis continues
 * @property {number} bins        bins of the overview, 0 when there is none
 * @property {[string, string, string, string][]} [tools]  suffix, tool, address, what to do
 * @property {[string, string][]} [questions]  name and statement in SQL
 * @property {import("../filter/terms.js").Facet[]} [facets]  of the whole run
 * @property {Record<string, string>} colours  by family and verdict
 * @property {Record<string, Sign>} signs  by verdict: "refused", "failed", "injected"
 * @typedef {{words: string, char: string, outline: [number, number][]}} Sign  a polygon from -1 to 1, y downwards
 * @typedef {{life: number, label: string, from: number, to: number | null}} Life  ns; null: still open
 */

export const LIFE_BITS = 24;
/** In a trace of several instances: the bits of a life below those of its instance. */

export const REFUSED = 1, FAILED = 2, INJECTED = 4;
/** Bits of `verdict`. */

const NOT_RETURNED = 255;

export class CallStore {
  constructor() {
    /** @type {Meta} */
    this.meta = { calls: 0, dropped: 0, span: 1, ending: "", title: "", file: "timeline", families: [], names: [], errnos: [], deniedBy: [],
      lives: [], output: [], live: false, thin: false, window: 0, exports: [], bins: 0, colours: {}, signs: {} };
    this.length = 0;
    this.first = 0; // index in the trace of row 0 here
    this.version = 0;
    this.start = new Float64Array(0); // ns since the start of the run
    this.dur = new Float32Array(0); // ns
    this.handle = new Uint32Array(0); // the descriptor's life, 0 for none; of several instances, with the instance
    this.call = new Uint8Array(0);
    this.errno = new Uint8Array(0);
    this.denied = new Uint8Array(0);
    this.verdict = new Uint8Array(0); // REFUSED | FAILED | INJECTED
    this.allocate(1024);
    this.capacity = 1024;
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {Uint8Array | null} 1 for calls that match the filter */
    this.mask = null;
    /** @type {Uint32Array | null} the rows that match */
    this.matches = null;
    /** @type {Uint8Array | null} the mask of the whole trace, a bit a call */
    this.bits = null;
  }

  /** @param {number} verdict @returns {string} the character of a refusal or failure, with a space; "" for neither */
  mark(verdict) {
    const kind = verdict & REFUSED ? "refused" : verdict & FAILED ? "failed" : "";
    return kind ? `${this.meta.signs[kind].char} ` : "";
  }

  /** @param {number} verdict @returns {string} "" or the mark and word of an injected result */
  injected(verdict) {
    const { char, words } = this.meta.signs.injected ?? {};
    return verdict & INJECTED ? ` ${char} ${words}` : "";
  }

  /** @param {number} capacity */
  allocate(capacity) {
    const grown = /** @param {any} kind @param {any} old */ (kind, old) => {
      const fresh = new kind(capacity);
      fresh.set(old.subarray(0, this.length));
      return fresh;
    };
    this.start = grown(Float64Array, this.start);
    this.dur = grown(Float32Array, this.dur);
    this.handle = grown(Uint32Array, this.handle);
    this.call = grown(Uint8Array, this.call);
    this.errno = grown(Uint8Array, this.errno);
    this.denied = grown(Uint8Array, this.denied);
    this.verdict = grown(Uint8Array, this.verdict);
    this.capacity = capacity;
  }

  clear() {
    this.length = 0;
    this.mask = this.matches = null;
    this.first = 0;
    this.version += 1;
  }

  /**
   * Append rows. The buffers are the columns in the order start, dur, handle, call, errno, denied, flags.
   * @param {DataView[]} buffers @param {number} count
   */
  append(buffers, count) {
    if (this.length + count > this.capacity) this.allocate(Math.max(this.length + count, Math.ceil(this.capacity * 1.7)));
    const at = this.length;
    /** @param {any} kind @param {DataView} view */
    const read = (kind, view) =>
      view.byteOffset % kind.BYTES_PER_ELEMENT === 0
        ? new kind(view.buffer, view.byteOffset, count)
        : new kind(view.buffer.slice(view.byteOffset, view.byteOffset + count * kind.BYTES_PER_ELEMENT));
    this.start.set(read(Float64Array, buffers[0]), at);
    this.dur.set(read(Float32Array, buffers[1]), at);
    this.handle.set(read(Uint32Array, buffers[2]), at);
    this.call.set(read(Uint8Array, buffers[3]), at);
    this.errno.set(read(Uint8Array, buffers[4]), at);
    this.denied.set(read(Uint8Array, buffers[5]), at);
    const flags = read(Uint8Array, buffers[6]);
    for (let i = 0; i < count; i++) {
      const errno = this.errno[at + i], refused = this.denied[at + i] !== 0;
      this.verdict[at + i] = (refused ? REFUSED : errno !== 0 && errno !== NOT_RETURNED ? FAILED : 0) | (flags[i] & 1 ? INJECTED : 0);
    }
    this.length += count;
    this.version += 1;
  }

  /** Whether the calls of a range of time are loaded (the whole run, unless it is windowed). @param {number} from @param {number} to ns */
  covers(from, to) {
    if (!this.meta.window) return this.length > 0;
    const last = this.first + this.length >= this.meta.calls;
    return this.length > 0 && (this.first === 0 || this.start[0] <= from) && (last || this.start[this.length - 1] >= Math.min(to, this.meta.span));
  }

  /** The end of the guest's time, ns: after a call that did not return, the stack is only unwound. */
  get guestEnd() {
    const last = this.length - 1;
    if (this.meta.live) return last >= 0 ? this.end(last) : 0; // it may be in a call that has not returned
    return last >= 0 && this.errno[last] === NOT_RETURNED ? this.end(last) : this.meta.ended ?? this.meta.span;
  }

  /** How many calls lie in a range of time, by the overview. @param {number} from @param {number} to ns */
  estimate(from, to) {
    const { overview } = this;
    if (!overview) return this.meta.calls;
    const low = Math.max(0, Math.floor((from / this.span) * overview.bins)), high = Math.min(overview.bins, Math.ceil((to / this.span) * overview.bins));
    let sum = 0;
    for (let at = 0; at < overview.count.length; at += overview.bins) for (let bin = low; bin < high; bin++) sum += overview.count[at + bin];
    return sum;
  }

  /** Whether every call of the trace is loaded. */
  get complete() {
    return this.first === 0 && this.length >= this.meta.calls;
  }

  get span() {
    const last = this.length - 1;
    return Math.max(this.meta.span, last >= 0 ? this.start[last] + this.dur[last] : 0, 1);
  }

  /** @param {number} row */
  nameOf(row) {
    return this.meta.names[this.call[row]]?.[0] ?? `call ${this.call[row]}`;
  }

  /** @param {number} row */
  familyOf(row) {
    return this.meta.names[this.call[row]]?.[1] ?? 0;
  }

  /** @param {number} row */
  end(row) {
    return this.start[row] + this.dur[row];
  }

  /** @param {number} row @returns {string} "" for success */
  errnoOf(row) {
    const errno = this.errno[row];
    return errno === 0 ? "" : errno === NOT_RETURNED ? "did not return" : this.meta.errnos[errno] ?? `errno ${errno}`;
  }

  /** @param {number} time ns @returns {number} the first row that starts at or after `time` */
  firstAt(time) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.start[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * @param {string | null} expression null clears the filter
   * @param {Uint8Array | null} bits one bit a call, lowest first
   */
  setMask(expression, bits) {
    if (expression === null || bits === null) {
      this.bits = null;
      this.mask = this.matches = null;
    } else {
      this.bits = bits;
      const mask = new Uint8Array(this.capacity);
      let count = 0;
      for (let i = 0; i < this.length; i++) count += mask[i] = (bits[(i + this.first) >> 3] >> ((i + this.first) & 7)) & 1;
      const rows = new Uint32Array(count);
      for (let i = 0, k = 0; i < this.length; i++) if (mask[i]) rows[k++] = i;
      this.mask = mask;
      this.matches = rows;
    }
    this.version += 1;
  }

  /**
   * The summary of a range of time, one row per call name.
   * @param {number} from ns @param {number} to ns
   */
  summary(from, to) {
    const low = this.firstAt(from), high = this.firstAt(to);
    /** @type {Map<number, number[]>} */
    const durations = new Map();
    const refused = new Uint32Array(256), failed = new Uint32Array(256);
    for (let i = low; i < high; i++) {
      if (this.mask && !this.mask[i]) continue;
      const call = this.call[i];
      let list = durations.get(call);
      if (!list) durations.set(call, (list = /** @type {number[]} */ ([])));
      list.push(this.dur[i]);
      if (this.verdict[i] & REFUSED) refused[call] += 1;
      else if (this.verdict[i] & FAILED) failed[call] += 1;
    }
    const rows = [...durations].map(([call, list]) => {
      const sorted = Float32Array.from(list).sort();
      let total = 0;
      for (const value of sorted) total += value;
      return { name: this.meta.names[call]?.[0] ?? String(call), calls: sorted.length, refused: refused[call], failed: failed[call],
        total, median: sorted[sorted.length >> 1], p99: sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] };
    });
    return rows.sort((a, b) => b.total - a.total);
  }
}

/** The saved picture of a run too large to be saved whole: bins over the whole span, a set for each family and the guest. */
export class Overview {
  /** @param {DataView} data @param {number} bins @param {number} lanes */
  constructor(data, bins, lanes) {
    this.bins = bins;
    const cells = bins * lanes;
    const copy = data.buffer.slice(data.byteOffset, data.byteOffset + cells * 9);
    this.busy = new Float32Array(copy, 0, cells); // 0..1, the part of the bin in which the lane was busy
    this.count = new Uint32Array(copy, cells * 4, cells);
    this.flags = new Uint8Array(copy, cells * 8, cells); // verdict bits
  }
}

/** @param {DataView} data columns one after the other @param {number} n entries @param {number[]} sizes bytes an entry of each @returns {DataView[]} */
export function split(data, n, sizes) {
  let at = data.byteOffset;
  return sizes.map((size) => {
    const part = new DataView(data.buffer, at, size * n);
    at += size * n;
    return part;
  });
}
