// The calls of one widget model, shared by all its views: filled from what the notebook saved, then from the kernel. Knows
// nothing of drawing; every watcher is told of every change.

import { asView } from "./ask.js";
import { CallStore, Overview, split } from "./store.js";

/** @typedef {import("./ask.js").Model} Model */

/** One store for all views of a model, so that a second view costs no second copy. @type {WeakMap<object, Shared>} */
const SHARED = new WeakMap();

/** The calls of a model, and the functions to call when they change. */
export class Shared {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.store = new CallStore();
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    this.asked = false;
    /** How often the calls were replaced by those of another run, or of the same one now that it has ended. */
    this.loads = 0;
    this.load();
    model.on("change:_meta", () => this.load());
    model.on("msg:custom", (/** @type {any} */ content, /** @type {any[]} */ buffers) => this.push(content, buffers));
  }

  /** Take what is saved in the notebook: the whole of a small run, an overview of a large one. */
  load() {
    const { model, store } = this, meta = model.get("_meta");
    store.clear();
    store.meta = { ...store.meta, ...meta };
    const saved = model.get("_snapshot");
    store.overview = null;
    if (saved && saved.byteLength) {
      const data = asView(saved);
      if (meta.thin) store.overview = new Overview(data, meta.bins, meta.families.length + 1);
      else store.append(split(data, meta.calls, SIZES), meta.calls);
    }
    this.asked = false;
    this.loads += 1;
    this.tell();
  }

  /** @param {any} content @param {any[]} buffers what Python sends unasked: calls, and a running run */
  push(content, buffers) {
    if (!content || !content.push) return;
    const { store } = this;
    if (content.push === "calls") {
      if (content.replace) {
        store.length = 0;
        store.first = content.first;
      }
      if (content.first > store.first + store.length) {
        // A part was sent before anybody listened. A kernel that executes the cell cannot be asked for it: what comes is shown.
        store.length = 0;
        store.first = content.first;
      }
      const known = store.first + store.length - content.first;
      if (known < content.count) store.append(buffers.map((buffer, i) => after(asView(buffer), known * SIZES[i])), content.count - known);
      if (store.bits) store.setMask("", store.bits);
    }
    if (content.meta) {
      store.meta = { ...store.meta, ...content.meta };
      store.version += 1;
    }
    this.tell();
  }

  tell() {
    for (const watcher of this.watchers) watcher();
  }
}

/** @param {Model} model @returns {Shared} */
export function sharedOf(model) {
  const known = SHARED.get(model);
  if (known) return known;
  const made = new Shared(model);
  SHARED.set(model, made);
  return made;
}

/** Bytes an entry of each column, in the order of the wire. */
const SIZES = [8, 4, 4, 1, 1, 1, 1];

/** @param {DataView} data @param {number} skip bytes that are known already @returns {DataView} */
function after(data, skip) {
  return new DataView(data.buffer, data.byteOffset + skip, data.byteLength - skip);
}
