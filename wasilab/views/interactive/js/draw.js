// The timeline's canvas: ruler, lanes, bars, glyphs, selection, minimap. Reads the store and the view, changes neither.
// It also finds the call under the pointer, because it has the geometry.

import { glyph } from "./lanes.js";
import { LevelOfDetail } from "./data/lod.js";
import { CallStore, REFUSED } from "./data/store.js";
import { duration, instant, roundStep } from "./data/words.js";

export const RULER = 22, GUEST = 0;

/** @typedef {import("./lanes.js").Lane} Lane */

/**
 * @typedef {Object} View what part of the run is shown, and what is marked
 * @property {number} from  ns
 * @property {number} to    ns
 * @property {number} scroll pixels scrolled down
 * @property {number} hover row, -1 for none
 * @property {number} pinned row, -1 for none
 * @property {[number, number] | null} selection ns
 * @property {number} cursor ns under the pointer, NaN for none
 */

export class Painter {
  /** @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} minimap @param {CallStore} store @param {LevelOfDetail} lod */
  constructor(canvas, minimap, store, lod) {
    this.canvas = canvas;
    this.minimap = minimap;
    this.store = store;
    this.lod = lod;
    /** @type {Lane[]} */
    this.lanes = [];
    this.laneHeight = 26;
    this.width = 0;
    this.height = 0;
    this.gutter = 76;
    /** @type {Record<string, string>} */
    this.theme = {};
    this.minimapKey = "";
    /** @type {LevelOfDetail | null} only the calls that match the filter, drawn over the dimmed others */
    this.overlay = null;
    /** @type {() => number} ns of the cursor in time, NaN for none */
    this.travel = () => NaN;
    /** @type {() => [number, number][]} the first and last row of each note */
    this.noted = () => [];
    /** @type {((g: CanvasRenderingContext2D, view: View) => void) | null} draws between the calls and the marks */
    this.between = null;
  }

  /** @param {number} width @param {number} height @param {boolean} wideLabels CSS pixels */
  resize(width, height, wideLabels) {
    this.width = width;
    this.height = height;
    this.gutter = Math.round(wideLabels ? Math.min(230, width * 0.3) : width < 560 ? 66 : 76);
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const [canvas, w, h] of /** @type {[HTMLCanvasElement, number, number][]} */ ([[this.canvas, width, height], [this.minimap, width, 34]])) {
      canvas.width = Math.round(w * ratio);
      canvas.height = Math.round(h * ratio);
      canvas.style.width = `${w}px`;
      canvas.style.height = `${h}px`;
      context(canvas).setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.minimapKey = "";
  }

  /** Height of all lanes, CSS pixels. */
  get contentHeight() {
    return RULER + this.lanes.length * this.laneHeight + 6;
  }

  get plot() {
    return Math.max(this.width - this.gutter - 2, 10);
  }

  /** @param {View} view @param {number} ns @returns {number} x in CSS pixels */
  x(view, ns) {
    return this.gutter + ((ns - view.from) / (view.to - view.from)) * this.plot;
  }

  /** @param {View} view @param {number} x @returns {number} ns */
  time(view, x) {
    return view.from + ((x - this.gutter) / this.plot) * (view.to - view.from);
  }

  /** @param {View} view */
  paint(view) {
    const g = context(this.canvas), { theme, lanes, laneHeight } = this;
    g.clearRect(0, 0, this.width, this.height);
    g.font = theme.font;
    g.textBaseline = "middle";
    const width = Math.ceil(this.plot);
    const { cells, low, high } = this.lod.view(view.from, view.to, width);
    const single = high - low <= width * 1.5 && this.store.covers(view.from, view.to);
    const over = this.overlay && this.store.mask && !single ? this.overlay.view(view.from, view.to, width).cells : null;
    this.paintRuler(g, view);
    g.save();
    g.beginPath();
    g.rect(0, RULER, this.width, this.height - RULER);
    g.clip();
    /** @type {[number, number, number][]} */
    const glyphs = [];
    for (let lane = 0; lane < lanes.length; lane++) {
      const top = RULER + lane * laneHeight - view.scroll;
      if (top + laneHeight < RULER || top > this.height) continue;
      this.paintLane(g, view, lane, top, cells, width, single, over && lane !== GUEST ? 0.22 : 1, over ? [] : glyphs);
      if (over && lane !== GUEST) this.paintLane(g, view, lane, top, over, width, single, 1, glyphs);
    }
    if (single) this.paintCalls(g, view, low, high, glyphs);
    glyphs.sort((a, b) => (a[2] & REFUSED) - (b[2] & REFUSED)); // refusals over all others
    for (const [x, y, verdict] of glyphs) glyph(g, x, y, verdict, this.store.meta, theme.bg);
    this.between?.(g, view);
    this.paintMarks(g, view);
    g.restore();
    this.paintHandle(g, view);
    this.paintGutter(g, view);
    this.paintMinimap(view);
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view */
  paintRuler(g, view) {
    if (this.store.span <= 1) return; // there are no calls yet
    const step = roundStep(view.to - view.from, this.plot / 90);
    g.strokeStyle = this.theme.line;
    g.fillStyle = this.theme.dim;
    g.textAlign = "left";
    g.lineWidth = 1;
    g.beginPath();
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      const x = Math.round(this.x(view, at)) + 0.5;
      g.moveTo(x, 14);
      g.lineTo(x, this.height);
      const words = instant(at, step, view.to);
      if (x + g.measureText(words).width + 4 < this.width) g.fillText(words, x + 3, 9);
    }
    g.stroke();
  }

  /**
   * One lane from its cells: neighbouring equal cells become one rectangle.
   * @param {CanvasRenderingContext2D} g @param {View} view @param {number} lane @param {number} top
   * @param {import("./data/lod.js").Cells} cells @param {number} width @param {boolean} single the calls are drawn one by one
   * @param {number} alpha
   * @param {[number, number, number][]} glyphs
   */
  paintLane(g, view, lane, top, cells, width, single, alpha, glyphs) {
    const { theme, laneHeight } = this, what = this.lanes[lane], row = lane * width;
    const bottom = top + laneHeight - 4, tall = laneHeight - 8;
    if (lane % 2 && alpha < 1 === (this.overlay !== null && this.store.mask !== null && !single)) {
      g.fillStyle = theme.stripe;
      g.fillRect(this.gutter, top, this.plot, laneHeight);
    }
    if (what.from !== undefined && what.to !== undefined) {
      const x0 = Math.max(this.x(view, what.from), this.gutter), x1 = Math.min(this.x(view, what.to), this.width);
      g.globalAlpha = 0.18;
      g.fillStyle = what.colour;
      if (x1 >= x0) g.fillRect(x0, top + 4, Math.max(x1 - x0, 2), tall);
      g.globalAlpha = 1;
    }
    if (what.output) return this.paintOutput(g, view, top);
    if (single) return; // paintCalls draws them, and the guest's time between them
    g.fillStyle = what.colour;
    g.globalAlpha = lane === GUEST ? 0.55 : alpha;
    const least = lane === GUEST ? 0.04 : 0.28;
    let from = -1, tallness = 0, lastGlyph = -99;
    for (let cell = 0; cell <= width; cell++) {
      const busy = cell < width ? cells.busy[row + cell] : 0, count = cell < width ? cells.count[row + cell] : 0;
      const part = busy > 0.004 || count ? Math.max(least, Math.min(1, Math.round(busy * 12) / 12)) : 0;
      if (part !== tallness) {
        if (tallness > 0) g.fillRect(this.gutter + from, bottom - tall * tallness, cell - from, tall * tallness);
        from = cell;
        tallness = part;
      }
      if (cell < width && cells.flags[row + cell]) {
        const flags = cells.flags[row + cell];
        if (flags & REFUSED || cell - lastGlyph > 7) glyphs.push([this.gutter + cell, top + laneHeight / 2 - 2, flags]);
        if (cell - lastGlyph > 7) lastGlyph = cell;
      }
    }
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view @param {number} low @param {number} high @param {[number, number, number][]} glyphs */
  paintCalls(g, view, low, high, glyphs) {
    const { store, lod, laneHeight } = this, tall = laneHeight - 8;
    g.textAlign = "left";
    let reach = low > 0 ? store.end(low - 1) : store.first > 0 ? store.start[0] : 0;
    for (let row = low; row <= high; row++) {
      const begin = row < store.length ? store.start[row] : store.guestEnd;
      if (begin > reach) this.paintGuest(g, view, reach, begin);
      if (row === high) break;
      reach = Math.max(reach, store.end(row));
      const lane = lod.rowLane[row];
      if (lane === 0xffff || !this.lanes[lane]) continue; // of a live run: not laid out yet
      const x0 = this.x(view, store.start[row]), x1 = this.x(view, store.end(row));
      if (x1 < this.gutter) continue;
      const top = RULER + lane * laneHeight - view.scroll;
      if (top + laneHeight < RULER || top > this.height) continue;
      const left = Math.max(x0, this.gutter), wide = Math.max(Math.min(x1, this.width) - left, 1.5);
      const dimmed = store.mask !== null && !store.mask[row];
      const colour = !this.lanes[lane].mixed ? this.lanes[lane].colour : store.meta.colours[store.meta.families[store.familyOf(row)]];
      g.globalAlpha = dimmed ? 0.2 : 1;
      g.fillStyle = colour;
      g.fillRect(left, top + 4, wide, tall);
      if (store.verdict[row]) glyphs.push([left + Math.min(wide / 2, 8), top + laneHeight / 2, store.verdict[row]]);
      const words = store.nameOf(row), room = wide - (store.verdict[row] ? 20 : 6);
      if (room > 30 && g.measureText(words).width < room) {
        g.fillStyle = inkOn(colour);
        g.fillText(words, left + (store.verdict[row] ? 17 : 3), top + laneHeight / 2 + 0.5);
      }
    }
    g.globalAlpha = 1;
  }

  /** The time spent in the guest. @param {CanvasRenderingContext2D} g @param {View} view @param {number} from ns @param {number} to ns */
  paintGuest(g, view, from, to) {
    const top = RULER + GUEST * this.laneHeight - view.scroll;
    const x0 = Math.max(this.x(view, from), this.gutter), x1 = Math.min(this.x(view, to), this.width);
    if (x1 <= x0 || top + this.laneHeight < RULER || this.store.span <= 1) return;
    g.globalAlpha = 0.55;
    g.fillStyle = this.lanes[GUEST].colour;
    g.fillRect(x0, top + 4, x1 - x0, this.laneHeight - 8);
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view @param {number} top */
  paintOutput(g, view, top) {
    const { output } = this.store.meta;
    let free = this.gutter;
    for (let i = 0; i < output.length; i++) {
      const [, at, stream, text] = output[i];
      const x = this.x(view, at);
      if (x > this.width) break;
      if (x < this.gutter - 200) continue;
      const next = i + 1 < output.length ? this.x(view, output[i + 1][1]) : this.width;
      g.fillStyle = stream === "stderr" ? this.theme.warn : this.theme.dim;
      g.fillRect(Math.max(x, this.gutter), top + 4, 2, this.laneHeight - 8);
      const from = Math.max(x + 5, free), room = Math.min(next, this.width) - from;
      if (room < 26 || x < this.gutter) continue;
      const letters = Math.floor(room / 6.6);
      g.fillText(text.length > letters ? text.slice(0, Math.max(letters - 1, 1)) + "…" : text, from, top + this.laneHeight / 2);
      free = from + Math.min(text.length * 6.6, room);
    }
  }

  /** Selection, pinned and hovered call, cursor, the end of the run. @param {CanvasRenderingContext2D} g @param {View} view */
  paintMarks(g, view) {
    const { theme, store } = this;
    if (view.selection) {
      const x0 = this.x(view, view.selection[0]), x1 = this.x(view, view.selection[1]);
      g.fillStyle = theme.select;
      g.fillRect(x0, RULER, x1 - x0, this.height);
    }
    for (const [row, colour, wide] of /** @type {[number, string, number][]} */ ([[view.hover, theme.dim, 1], [view.pinned, theme.fg, 2]])) {
      if (row < 0 || row >= store.length) continue;
      const lane = this.lod.rowLane[row];
      if (lane === undefined || lane === 0xffff) continue;
      const x0 = this.x(view, store.start[row]), x1 = Math.max(this.x(view, store.end(row)), x0 + 3);
      g.strokeStyle = colour;
      g.lineWidth = wide;
      g.strokeRect(x0 - 1.5, RULER + lane * this.laneHeight - view.scroll + 2.5, x1 - x0 + 3, this.laneHeight - 5);
    }
    g.fillStyle = theme.link;
    for (const [row, last] of this.noted()) {
      if (last > row && last >= 0 && row < store.length) {
        const x0 = Math.max(this.x(view, store.start[Math.max(row, 0)]), this.gutter), x1 = Math.min(this.x(view, store.end(Math.min(last, store.length - 1))), this.width);
        if (x1 > x0) g.fillRect(x0, RULER, Math.max(x1 - x0, 2), 3);
      }
      const x = row >= 0 && row < store.length ? this.x(view, store.start[row]) : -1;
      if (x < this.gutter) continue;
      g.beginPath();
      g.moveTo(x - 5, RULER);
      g.lineTo(x + 5, RULER);
      g.lineTo(x, RULER + 7);
      g.fill();
    }
    const end = this.x(view, store.span);
    if (store.meta.ending && end <= this.width + 1) {
      g.fillStyle = store.meta.colours.refused;
      g.fillRect(end - 2, RULER, 2, this.height);
      g.textAlign = "right";
      g.fillStyle = theme.bg; // the word is drawn over the lanes
      g.fillRect(end - 9 - g.measureText(store.meta.ending).width, RULER + 1, 7 + g.measureText(store.meta.ending).width, 14);
      g.fillStyle = store.meta.colours.refused;
      g.fillText(store.meta.ending, end - 5, RULER + 8);
      g.textAlign = "left";
    }
    const moment = this.travel();
    if (!Number.isNaN(moment)) {
      const x = Math.round(this.x(view, moment)) + 0.5;
      if (x >= this.gutter && x <= this.width) {
        g.fillStyle = theme.shade; // what has not happened yet
        g.fillRect(x, RULER, this.width - x, this.height);
        g.strokeStyle = g.fillStyle = theme.link;
        g.lineWidth = 2;
        g.beginPath();
        g.moveTo(x, RULER);
        g.lineTo(x, this.height);
        g.stroke();
      }
    }
    if (!Number.isNaN(view.cursor)) {
      const x = Math.round(this.x(view, view.cursor)) + 0.5;
      g.strokeStyle = theme.dim;
      g.lineWidth = 1;
      g.setLineDash([3, 3]);
      g.beginPath();
      g.moveTo(x, RULER);
      g.lineTo(x, this.height);
      g.stroke();
      g.setLineDash([]);
    }
  }

  /** The handle of the cursor in time, on the ruler. @param {CanvasRenderingContext2D} g @param {View} view */
  paintHandle(g, view) {
    const x = this.x(view, this.travel());
    if (!(x >= this.gutter - 1 && x <= this.width + 1)) return;
    g.fillStyle = this.theme.link;
    g.beginPath();
    for (const [dx, y] of [[-6, 4], [6, 4], [6, 14], [0, RULER], [-6, 14]]) g.lineTo(x + dx, y);
    g.fill();
  }

  /** Whether a point is on the handle of the cursor in time. @param {View} view @param {number} x @param {number} y */
  onHandle(view, x, y) {
    return y < RULER + 4 && Math.abs(this.x(view, this.travel()) - x) <= 9;
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view */
  paintGutter(g, view) {
    const { theme } = this;
    g.fillStyle = theme.bg;
    g.fillRect(0, 0, this.gutter - 1, this.height);
    g.textAlign = "left";
    g.save();
    g.beginPath();
    g.rect(0, RULER, this.gutter - 4, this.height);
    g.clip();
    for (let lane = 0; lane < this.lanes.length; lane++) {
      const y = RULER + (lane + 0.5) * this.laneHeight - view.scroll;
      if (y < 0 || y > this.height + this.laneHeight) continue;
      g.fillStyle = this.lanes[lane].colour;
      g.fillRect(2, y - 5, 4, 10);
      g.fillStyle = theme.fg;
      const letters = Math.floor((this.gutter - 14) / 6.4), label = this.lanes[lane].label;
      const tail = Math.max(letters - 6, 1); // both ends of a descriptor's name are informative
      g.fillText(label.length > letters ? `${label.slice(0, letters - tail - 1)}…${label.slice(-tail)}` : label, 10, y);
    }
    g.restore();
    g.fillStyle = theme.dim;
    if (this.store.span > 1) g.fillText(duration(view.to - view.from), 2, 9);
  }

  /** The minimap: the whole run, with the view as a window in it. @param {View} view */
  paintMinimap(view) {
    const g = context(this.minimap), { theme, store } = this, width = Math.ceil(this.plot), tall = 26;
    const key = `${this.lod.key} ${width} ${theme.bg}`;
    if (key !== this.minimapKey) {
      const { cells } = this.lod.view(0, store.span, width);
      const image = document.createElement("canvas");
      image.width = width;
      image.height = tall;
      const paint = context(image), refused = store.meta.colours.refused;
      const lanes = this.lod.lanes;
      const each = tall / lanes;
      for (let lane = 0; lane < lanes; lane++) {
        paint.fillStyle = this.lanes[lane]?.colour ?? theme.dim;
        for (let cell = 0; cell < width; cell++) {
          const at = lane * width + cell;
          if (!cells.count[at] && cells.busy[at] < 0.02) continue;
          paint.globalAlpha = lane === GUEST ? 0.5 * Math.min(1, cells.busy[at]) : Math.min(1, 0.45 + cells.busy[at]);
          paint.fillRect(cell, lane * each, 1, Math.max(each, 1));
        }
      }
      paint.globalAlpha = 1;
      paint.fillStyle = refused;
      for (let lane = 0; lane < lanes; lane++)
        for (let cell = 0; cell < width; cell++) if (cells.flags[lane * width + cell] & REFUSED) paint.fillRect(cell - 1, 0, 2, tall);
      this.minimapImage = image;
      this.minimapKey = key;
    }
    g.clearRect(0, 0, this.width, 34);
    if (this.minimapImage) g.drawImage(this.minimapImage, this.gutter, 4);
    this.paintWindow(g, view, store.span);
  }

  /** The visible part in the minimap. @param {CanvasRenderingContext2D} g @param {View} view @param {number} span ns */
  paintWindow(g, view, span) {
    const { theme } = this, width = Math.ceil(this.plot);
    const clamp = (/** @type {number} */ ns) => this.gutter + Math.max(0, Math.min(1, ns / span)) * (width - 1);
    const x0 = clamp(view.from), x1 = clamp(view.to);
    g.fillStyle = theme.shade;
    g.fillRect(this.gutter, 2, Math.max(x0 - this.gutter, 0), 30);
    g.fillRect(x1, 2, Math.max(this.gutter + width - x1, 0), 30);
    g.strokeStyle = theme.fg;
    g.lineWidth = 1;
    g.strokeRect(Math.round(x0) + 0.5, 2.5, Math.max(Math.round(x1 - x0), 3), 29);
  }

  /** @param {number} y @returns {number} the lane at that height, -1 for none */
  laneAt(y, /** @type {View} */ view) {
    if (y < RULER) return -1;
    const lane = Math.floor((y - RULER + view.scroll) / this.laneHeight);
    return lane < this.lanes.length ? lane : -1;
  }

  /** @param {View} view @param {number} x @param {number} y @returns {number} the row of the call there, -1 for none */
  rowAt(view, x, y) {
    const lane = this.laneAt(y, view);
    if (lane < 1 || x < this.gutter) return -1;
    const { store, lod } = this, reach = 4, from = this.time(view, x - reach), to = this.time(view, x + reach), at = this.time(view, x);
    if (this.lanes[lane].output) {
      let best = -1, least = 14;
      for (const [seq, ns] of store.meta.output) {
        const away = Math.abs(this.x(view, ns) - x - 0.5);
        if (away < least) [best, least] = [seq - store.first, away];
      }
      return best < store.length ? best : -1;
    }
    const low = Math.max(0, store.firstAt(from) - 64), high = Math.min(store.firstAt(to), low + 50000);
    let best = -1, least = Infinity;
    for (let row = low; row < high; row++) {
      if (lod.rowLane[row] !== lane) continue;
      const begin = store.start[row], end = store.end(row);
      const away = at < begin ? begin - at : at > end ? at - end : 0;
      const score = away - (store.verdict[row] & REFUSED ? (to - from) / 8 : 0);
      if (begin <= to && end >= from && score < least) [best, least] = [row, score];
    }
    return best;
  }
}

/** @param {string} colour "#rrggbb" @returns {string} black or white, whichever has the better contrast (WCAG) */
export function inkOn(colour) {
  const light = [1, 3, 5].map((at) => (parseInt(colour.slice(at, at + 2), 16) / 255) ** 2.2);
  return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.18 ? "#000" : "#fff";
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
export function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
