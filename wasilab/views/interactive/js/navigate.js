// The visible part of the run, and the input that moves it: wheel, pinch, drag, keys. It does not draw: it changes the
// view and reports the change. The wheel zooms if the timeline has the focus; otherwise the page scrolls.

import { CallStore } from "./data/store.js";
import { Painter, RULER } from "./draw.js";

/** @typedef {import("./draw.js").View} View */

export class Navigator {
  /**
   * @param {CallStore} store @param {Painter} painter
   * @param {{changed: () => void, choose: (row: number) => void, hovered: (row: number, x: number, y: number) => void,
   *   selected: () => void, step: (by: number) => void, search: () => void, escape: () => void, hint: () => void, ask: (row: number, x: number, y: number) => void,
   *   travel: {open: boolean, step: (by: number) => void, play: () => void, toTime: (ns: number) => void},
   *   passing?: {hover: (x: number, y: number) => boolean, click: (x: number, y: number) => boolean, step: (by: number) => void, open: () => boolean}}} acts
   */
  constructor(store, painter, acts) {
    this.store = store;
    this.painter = painter;
    this.acts = acts;
    /** @type {View} */
    this.view = { from: 0, to: store.span, scroll: 0, hover: -1, pinned: -1, selection: null, cursor: NaN };
    this.fitted = true;
    /** @type {Map<number, {x: number, y: number}>} */
    this.pointers = new Map();
    this.mode = "";
    this.listen(painter.canvas, painter.minimap);
  }

  /** @param {number} from @param {number} to ns; kept inside the run and at least 20 ns wide */
  look(from, to) {
    const span = this.store.span, most = span * 1.02;
    let width = Math.max(Math.min(to - from, most), Math.min(20, span));
    let start = from + (to - from - width) / 2;
    start = Math.max(-span * 0.01, Math.min(start, span * 1.01 - width));
    this.view.from = start;
    this.view.to = start + width;
    this.fitted = width >= most * 0.999;
    this.acts.changed();
  }

  fit() {
    this.look(-this.store.span * 0.01, this.store.span * 1.01);
    this.fitted = true;
  }

  /** @param {number} factor below 1 zooms in @param {number} around ns that stays where it is */
  zoom(factor, around) {
    const { from, to } = this.view;
    this.look(around - (around - from) * factor, around + (to - around) * factor);
  }

  /** @param {number} pixels to the right */
  pan(pixels) {
    const shift = (pixels / this.painter.plot) * (this.view.to - this.view.from);
    this.look(this.view.from + shift, this.view.to + shift);
  }

  /** @param {number} pixels from the top of all lanes */
  scrollTo(pixels) {
    if (Math.abs(pixels - this.view.scroll) >= 1) this.scrollBy(pixels - this.view.scroll);
  }

  /** @param {number} pixels */
  scrollBy(pixels) {
    const most = Math.max(0, this.painter.contentHeight - this.painter.height);
    const before = this.view.scroll;
    this.view.scroll = Math.max(0, Math.min(most, before + pixels));
    this.acts.changed();
    return this.view.scroll !== before;
  }

  /** Make a call visible, zooming in as far as necessary. @param {number} row */
  reveal(row) {
    const begin = this.store.start[row], end = this.store.end(row), width = this.view.to - this.view.from;
    const least = Math.max((end - begin) * 1.5, 40), seen = ((end - begin) / width) * this.painter.plot;
    if (begin < this.view.from || end > this.view.to) {
      const wide = seen < 0.5 ? Math.max(least * 60, width / 50) : Math.max(width, least);
      this.look((begin + end) / 2 - wide / 2, (begin + end) / 2 + wide / 2);
    }
    const lane = this.painter.lod.rowLane[row], top = lane * this.painter.laneHeight;
    if (lane < 0xffff && (top < this.view.scroll || top + this.painter.laneHeight * 2 > this.view.scroll + this.painter.height - RULER))
      this.scrollBy(top - this.painter.height / 3 - this.view.scroll);
  }

  get middle() {
    return Number.isNaN(this.view.cursor) ? (this.view.from + this.view.to) / 2 : this.view.cursor;
  }

  /** @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement} minimap */
  listen(canvas, minimap) {
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", (event) => this.up(event));
    canvas.addEventListener("pointercancel", (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => {
      this.view.cursor = NaN;
      this.acts.passing?.hover(-1, 0);
      this.acts.hovered(-1, 0, 0);
      this.acts.changed();
    });
    canvas.addEventListener("dblclick", (event) => this.zoom(event.shiftKey ? 4 : 0.25, this.painter.time(this.view, at(event, canvas).x)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("contextmenu", (event) => {
      const point = at(event, canvas), row = event.button === 2 ? this.painter.rowAt(this.view, point.x, point.y) : this.view.pinned;
      if (row < 0) return; // the page's own menu
      event.preventDefault();
      event.stopPropagation();
      this.acts.ask(row, event.clientX, event.clientY);
    });
    const follow = (/** @type {PointerEvent} */ event) => {
      if (!event.buttons) return;
      const centre = ((at(event, minimap).x - this.painter.gutter) / this.painter.plot) * this.store.span, half = (this.view.to - this.view.from) / 2;
      this.look(centre - half, centre + half);
    };
    minimap.addEventListener("pointerdown", (event) => {
      minimap.setPointerCapture(event.pointerId);
      follow(event);
    });
    minimap.addEventListener("pointermove", follow);
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const canvas = this.painter.canvas, unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 300 : 1;
    const dx = event.deltaX * unit, dy = event.deltaY * unit;
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(Math.max(-0.6, Math.min(0.6, dy * 0.008))), this.painter.time(this.view, at(event, canvas).x));
    else if (event.shiftKey) this.pan(dy || dx);
    else if (Math.abs(dx) > Math.abs(dy)) this.pan(dx);
    else if (at(event, canvas).x < this.painter.gutter && this.painter.contentHeight > this.painter.height) {
      if (!this.scrollBy(dy)) return; // at the end of the lanes the page scrolls
    } else if (canvas.matches(":focus")) {
      if (event.altKey) this.scrollBy(dy);
      else this.zoom(Math.exp(Math.max(-0.6, Math.min(0.6, dy * 0.002))), this.painter.time(this.view, at(event, canvas).x));
    } else {
      this.acts.hint();
      return; // the page scrolls
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {PointerEvent} event */
  down(event) {
    if (event.button) return;
    const canvas = this.painter.canvas, point = at(event, canvas);
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, point);
    this.moved = 0;
    this.mode = this.pointers.size === 2 ? "pinch" : this.painter.onHandle(this.view, point.x, point.y) ? "travel" : event.shiftKey || point.y < RULER ? "select" : "pan";
    if (this.mode === "select") this.anchor = this.painter.time(this.view, point.x);
  }

  /** @param {PointerEvent} event */
  move(event) {
    const canvas = this.painter.canvas, point = at(event, canvas), before = this.pointers.get(event.pointerId);
    this.view.cursor = point.x >= this.painter.gutter ? this.painter.time(this.view, point.x) : NaN;
    if (!before) {
      const onArrow = this.acts.passing?.hover(point.x, point.y) ?? false;
      this.view.hover = onArrow ? -1 : this.painter.rowAt(this.view, point.x, point.y);
      if (!onArrow) this.acts.hovered(this.view.hover, point.x, point.y);
      this.acts.changed();
      return;
    }
    this.moved = (this.moved ?? 0) + Math.abs(point.x - before.x) + Math.abs(point.y - before.y);
    if (this.mode === "pinch" && this.pointers.size === 2) {
      const [a, b] = [...this.pointers.values()], apart = Math.hypot(a.x - b.x, a.y - b.y);
      this.pointers.set(event.pointerId, point);
      const [c, d] = [...this.pointers.values()], now = Math.hypot(c.x - d.x, c.y - d.y);
      if (apart > 8 && now > 8) this.zoom(apart / now, this.painter.time(this.view, (a.x + b.x) / 2));
      this.pan((a.x + b.x - c.x - d.x) / 2); // keep the content between the fingers
    } else if (this.mode === "travel") this.acts.travel.toTime(this.painter.time(this.view, point.x));
    else if (this.mode === "select" && this.moved > 3) {
      const here = this.painter.time(this.view, Math.max(point.x, this.painter.gutter));
      this.view.selection = [Math.min(this.anchor ?? here, here), Math.max(this.anchor ?? here, here)];
      this.acts.changed();
    } else if (this.mode === "pan" && this.moved > 3) {
      this.pan(before.x - point.x);
      this.scrollBy(before.y - point.y);
    }
    this.pointers.set(event.pointerId, point);
  }

  /** @param {PointerEvent} event */
  up(event) {
    const point = at(event, this.painter.canvas), known = this.pointers.delete(event.pointerId);
    if (!known || event.type === "pointercancel") return;
    if (this.mode === "pinch") {
      this.mode = "pan"; // the remaining finger drags,
      this.moved = Infinity; // and is not a tap when it is lifted
      return;
    }
    if ((this.moved ?? 0) <= 3 && this.mode === "pan") {
      if (!this.acts.passing?.click(point.x, point.y)) this.acts.choose(this.painter.rowAt(this.view, point.x, point.y));
    } else if (this.mode === "select") {
      if ((this.moved ?? 0) <= 3) this.view.selection = null;
      this.acts.selected();
    }
  }

  /** Select the visible time. */
  mark() {
    this.view.selection = [Math.max(this.view.from, 0), Math.min(this.view.to, this.store.span)];
    this.acts.selected();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { travel } = this.acts;
    const act = (travel.open && { ",": () => travel.step(-1), ".": () => travel.step(1), " ": () => travel.play() }[event.key]) || {
      w: () => this.zoom(0.7, this.middle), s: () => this.zoom(1 / 0.7, this.middle), "+": () => this.zoom(0.7, this.middle), "-": () => this.zoom(1 / 0.7, this.middle),
      a: () => this.pan(-80), d: () => this.pan(80), f: () => this.fit(), "/": () => this.acts.search(), m: () => this.mark(), p: () => this.acts.passing?.step(event.shiftKey ? -1 : 1),
      ArrowLeft: () => this.acts.step(-1), ArrowRight: () => this.acts.step(1), Home: () => this.fit(),
      ArrowUp: () => this.scrollBy(-this.painter.laneHeight), ArrowDown: () => this.scrollBy(this.painter.laneHeight), Escape: () => this.acts.escape(),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (event.key === "Enter" ? !this.acts.passing?.open() : !act) return;
    event.preventDefault();
    event.stopPropagation();
    act?.();
  }
}

/** @param {MouseEvent} event @param {HTMLElement} element @returns {{x: number, y: number}} CSS pixels inside the element */
function at(event, element) {
  const box = element.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}
