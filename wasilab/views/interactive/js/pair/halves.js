// The canvas of two runs: each lane holds the first run above and the second below, with lines between the calls that are in
// both and a sign on each difference. Reads two stores and the view, changes neither.

import { CALL, CHANGED, LONE, Side } from "./axis.js";
import { context, inkOn, Painter, RULER } from "../draw.js";
import { LevelOfDetail } from "../data/lod.js";
import { duration, number, roundStep } from "../data/words.js";

/** @typedef {import("../draw.js").View} View */

const HALF = 19, GAP = 12, TALL = 56, TIES = 400;

export class HalvesPainter extends Painter {
  /** @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} minimap @param {[Side, Side]} sides */
  constructor(canvas, minimap, sides) {
    const lods = sides.map((side) => new LevelOfDetail(side.store));
    super(canvas, minimap, sides[0].store, lods[0]);
    this.sides = sides;
    this.lods = lods;
    this.axis = "time";
    this.smallKey = "";
    this.laneHeight = TALL;
    this.row = -1; // of the difference, that is chosen
    /** @type {Record<string, [string, string]>} kind -> sign and word */
    this.signs = {};
  }

  get length() {
    return Math.max(this.sides[0].store.meta.span, this.sides[1].store.meta.span, 1);
  }

  /** On the axis of calls there is no time of the guest, and so no lane for it. */
  get skipped() {
    return this.axis === "time" ? 0 : 1;
  }

  get contentHeight() {
    return RULER + (this.lanes.length - this.skipped) * TALL + 6;
  }

  /** @param {View} view @param {number} lane @param {number} side @returns {number} the top of a run's half of a lane */
  top(view, lane, side) {
    return RULER + (lane - this.skipped) * TALL - view.scroll + 3 + side * (HALF + GAP);
  }

  /** @param {View} view */
  paint(view) {
    const g = context(this.canvas), { theme } = this, width = Math.ceil(this.plot);
    g.clearRect(0, 0, this.width, this.height);
    g.font = theme.font;
    g.textBaseline = "middle";
    this.paintRuler(g, view);
    g.save();
    g.beginPath();
    g.rect(this.gutter, RULER, this.plot, this.height - RULER);
    g.clip();
    for (let lane = this.skipped + 1; lane < this.lanes.length; lane += 2) {
      g.fillStyle = theme.stripe;
      g.fillRect(this.gutter, this.top(view, lane, 0) - 3, this.plot, TALL);
    }
    /** @type {[number, number, number, number][]} x, y, verdict, side */
    const signs = [];
    const seen = this.sides.map((side, at) => {
      const { cells, low, high } = this.lods[at].view(view.from, view.to, width), single = high - low <= width * 1.2;
      if (!single) for (let lane = this.skipped; lane < this.lanes.length; lane++) this.paintCells(g, view, lane, at, cells, width, signs);
      return { low, high, single };
    });
    for (const [at, { low, high, single }] of seen.entries()) if (single) this.paintSide(g, view, at, low, high, signs);
    this.paintTies(g, view, seen[0].low, seen[0].high);
    for (const [x, y, verdict, side] of signs) this.paintSign(g, x, y, verdict, side);
    this.paintChosen(g, view);
    if (!Number.isNaN(view.cursor)) {
      const x = Math.round(this.x(view, view.cursor)) + 0.5;
      g.strokeStyle = theme.dim;
      g.lineWidth = 1;
      g.setLineDash([3, 3]);
      g.strokeRect(x, RULER, 0, this.height);
      g.setLineDash([]);
    }
    g.restore();
    this.paintGutter(g, view);
    this.paintMinimap(view);
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view */
  paintRuler(g, view) {
    if (this.axis === "time") return super.paintRuler(g, view);
    const step = Math.max(roundStep((view.to - view.from) / CALL, this.plot / 90), 1);
    g.strokeStyle = this.theme.line;
    g.fillStyle = this.theme.dim;
    g.textAlign = "left";
    g.lineWidth = 1;
    g.beginPath();
    for (let at = Math.max(0, Math.ceil(view.from / CALL / step) * step); at * CALL <= view.to; at += step) {
      const x = Math.round(this.x(view, at * CALL)) + 0.5;
      g.moveTo(x, 14);
      g.lineTo(x, this.height);
      g.fillText(number(at), x + 3, 9);
    }
    g.stroke();
  }

  /**
   * @param {CanvasRenderingContext2D} g @param {View} view @param {number} lane @param {number} side
   * @param {import("../data/lod.js").Cells} cells @param {number} width @param {[number, number, number, number][]} signs
   */
  paintCells(g, view, lane, side, cells, width, signs) {
    const top = this.top(view, lane, side), row = lane * width;
    if (top > this.height || top + HALF < RULER) return;
    g.fillStyle = this.lanes[lane].colour;
    g.globalAlpha = lane ? 1 : 0.55;
    const least = lane ? 0.28 : 0.04;
    let from = 0, tallness = 0, last = -99;
    for (let cell = 0; cell <= width; cell++) {
      const busy = cell < width ? cells.busy[row + cell] : 0, count = cell < width ? cells.count[row + cell] : 0;
      const part = busy > 0.004 || count ? Math.max(least, Math.min(1, Math.round(busy * 12) / 12)) : 0;
      if (part !== tallness) {
        if (tallness > 0) g.fillRect(this.gutter + from, top + HALF * (1 - tallness), cell - from, HALF * tallness);
        from = cell;
        tallness = part;
      }
      const flags = cell < width ? cells.flags[row + cell] & (CHANGED | LONE) : 0;
      if (flags && cell - last > 9) {
        signs.push([this.gutter + cell, top + HALF / 2, flags, side]);
        last = cell;
      }
    }
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view @param {number} at side @param {number} low @param {number} high @param {[number, number, number, number][]} signs */
  paintSide(g, view, at, low, high, signs) {
    const { store } = this.sides[at], { rowLane } = this.lods[at], { colours, families } = store.meta;
    let reach = low > 0 ? store.end(low - 1) : 0;
    g.textAlign = "left";
    for (let row = low; row <= high; row++) {
      const begin = row < store.length ? store.start[row] : store.guestEnd;
      if (!this.skipped && begin > reach) {
        const x0 = Math.max(this.x(view, reach), this.gutter), x1 = Math.min(this.x(view, begin), this.width);
        g.globalAlpha = 0.55;
        g.fillStyle = this.lanes[0].colour;
        if (x1 > x0) g.fillRect(x0, this.top(view, 0, at), x1 - x0, HALF);
        g.globalAlpha = 1;
      }
      if (row === high) break;
      reach = Math.max(reach, store.end(row));
      const x0 = this.x(view, store.start[row]), x1 = this.x(view, store.end(row)), top = this.top(view, rowLane[row], at);
      if (x1 < this.gutter || top > this.height || top + HALF < RULER) continue;
      const left = Math.max(x0, this.gutter), wide = Math.max(Math.min(x1, this.width) - left, 1.5), colour = colours[families[store.familyOf(row)]];
      g.fillStyle = colour;
      g.fillRect(left, top, wide, HALF);
      const differs = store.verdict[row] & (CHANGED | LONE), words = store.nameOf(row), room = wide - (differs ? 22 : 6);
      if (differs) signs.push([left + Math.min(wide / 2, 9), top + HALF / 2, differs, at]);
      if (room > 30 && g.measureText(words).width < room) {
        g.fillStyle = inkOn(colour);
        g.fillText(words, left + (differs ? 19 : 3), top + HALF / 2 + 0.5);
      }
    }
  }

  /** Lines from the first run's calls to the same calls of the second. @param {CanvasRenderingContext2D} g @param {View} view @param {number} low @param {number} high */
  paintTies(g, view, low, high) {
    const [first, second] = this.sides, { rowLane } = this.lods[0], by = Math.max(1, Math.ceil((high - low) / TIES));
    g.lineWidth = 1;
    for (const changed of [false, true]) {
      g.strokeStyle = changed ? this.theme.warn : this.theme.dim;
      g.globalAlpha = changed ? 1 : 0.4;
      g.beginPath();
      for (let row = low; row < high; row += changed && high - low < 20000 ? 1 : by) {
        const { verdict } = first.store;
        if (verdict[row] & LONE || (verdict[row] & CHANGED) === 0 === changed) continue;
        const other = second.callOf(first.rows[row]);
        if (other < 0) continue;
        const top = this.top(view, rowLane[row], 0) + HALF;
        g.moveTo(this.x(view, first.store.start[row]), top);
        g.lineTo(this.x(view, second.store.start[other]), top + GAP);
      }
      g.stroke();
    }
    g.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} verdict @param {number} side */
  paintSign(g, x, y, verdict, side) {
    const kind = verdict & LONE ? (side ? "added" : "removed") : "changed";
    g.font = "800 14px system-ui, sans-serif";
    g.textAlign = "center";
    g.lineWidth = 4;
    g.lineJoin = "round";
    g.strokeStyle = this.theme.bg;
    g.strokeText(this.signs[kind][0], x, y);
    g.fillStyle = { added: this.theme.good, removed: this.theme.bad, changed: this.theme.warn }[kind];
    g.fillText(this.signs[kind][0], x, y);
    g.font = this.theme.font;
    g.textAlign = "left";
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view */
  paintChosen(g, view) {
    g.strokeStyle = this.theme.fg;
    g.lineWidth = 2;
    for (const [at, side] of this.sides.entries()) {
      const row = side.callOf(this.row);
      if (row < 0) continue;
      const x0 = this.x(view, side.store.start[row]), x1 = Math.max(this.x(view, side.store.end(row)), x0 + 3);
      g.strokeRect(x0 - 1.5, this.top(view, this.lods[at].rowLane[row], at) - 1.5, x1 - x0 + 3, HALF + 3);
    }
  }

  /** @param {CanvasRenderingContext2D} g @param {View} view */
  paintGutter(g, view) {
    const { theme } = this;
    g.fillStyle = theme.bg;
    g.fillRect(0, 0, this.gutter - 1, this.height);
    for (let lane = this.skipped; lane < this.lanes.length; lane++) {
      const y = this.top(view, lane, 0) + HALF + GAP / 2;
      if (y < RULER || y > this.height + TALL) continue;
      g.fillStyle = this.lanes[lane].colour;
      g.fillRect(2, y - 12, 4, 24);
      g.fillStyle = theme.fg;
      g.fillText(this.lanes[lane].label, 10, y);
    }
    g.fillStyle = theme.bg;
    g.fillRect(0, 0, this.gutter - 1, RULER);
    g.fillStyle = theme.dim;
    g.fillText(this.axis === "time" ? duration(view.to - view.from) : `${number(Math.round((view.to - view.from) / CALL))} calls`, 2, 9);
  }

  /** Both runs small, one above the other, with the view as a window in them. @param {View} view */
  paintMinimap(view) {
    const g = context(this.minimap), { theme } = this, width = Math.ceil(this.plot), half = 13;
    const key = `${this.lods.map((lod) => lod.key).join()} ${this.axis} ${width} ${theme.bg}`;
    if (key !== this.smallKey) {
      const image = document.createElement("canvas"), paint = context(image);
      image.width = width;
      image.height = 2 * half;
      for (const [at, lod] of this.lods.entries()) {
        const { cells } = lod.view(0, this.length, width);
        for (let cell = 0; cell < width; cell++) {
          let busy = 0, flags = 0;
          for (let lane = 1; lane < lod.lanes; lane++) {
            busy = Math.max(busy, cells.count[lane * width + cell] ? 0.35 : 0, cells.busy[lane * width + cell]);
            flags |= cells.flags[lane * width + cell];
          }
          const kind = flags & LONE ? (at ? "good" : "bad") : flags & CHANGED ? "warn" : "dim";
          paint.globalAlpha = kind === "dim" ? Math.min(1, busy) * 0.7 : 1;
          paint.fillStyle = theme[kind];
          if (busy || flags & (LONE | CHANGED)) paint.fillRect(cell - (kind === "dim" ? 0 : 1), at * half, kind === "dim" ? 1 : 2, half - 1);
        }
      }
      this.minimapImage = image;
      this.smallKey = key;
    }
    g.clearRect(0, 0, this.width, 34);
    if (this.minimapImage) g.drawImage(this.minimapImage, this.gutter, 4);
    this.paintWindow(g, view, this.length);
  }

  /** @param {View} view @param {number} x @param {number} y @returns {number} the row of the difference there, -1 for none */
  rowAt(view, x, y) {
    if (y < RULER || x < this.gutter) return -1;
    const lane = Math.floor((y - RULER + view.scroll) / TALL) + this.skipped, at = y < this.top(view, lane, 0) + HALF + GAP / 2 ? 0 : 1;
    if (lane < 1 || lane >= this.lanes.length) return -1;
    const { store, rows } = this.sides[at], { rowLane } = this.lods[at], reach = 5;
    const from = this.time(view, x - reach), to = this.time(view, x + reach), here = this.time(view, x);
    const low = Math.max(0, store.firstAt(from) - 64), high = Math.min(store.firstAt(to), low + 50000);
    let best = -1, least = Infinity;
    for (let row = low; row < high; row++) {
      if (rowLane[row] !== lane) continue;
      const begin = store.start[row], end = store.end(row), away = here < begin ? begin - here : here > end ? here - end : 0;
      const score = away - (store.verdict[row] & (CHANGED | LONE) ? (to - from) / 4 : 0);
      if (begin <= to && end >= from && score < least) [best, least] = [row, score];
    }
    return best < 0 ? -1 : rows[best];
  }
}
