// The state of a run at one moment: what Python derives from the record, and what the page knows of it by itself.

import { CallStore } from "../data/store.js";

/**
 * @typedef {Object} State  made by views/interactive/state.py
 * @property {number} seq @property {number} time ns @property {string} call
 * @property {[string, number, [number, string][]] | null} source
 * @property {[number, string, string, string, string, string, string][]} descriptors  life, fd, path, kind, offset, rights, instance
 * @property {[string, string, string][]} grants  name, words, state
 * @property {[string, string, string, string][]} files  path, size, change, contents
 * @property {{descriptors: number, files: number}} more  how many are not listed
 * @property {[string, string]} stdout @property {[string, string]} stderr  how much, its end
 * @property {boolean} [partial]  only what the page knows
 */

/**
 * What the columns in the page tell: the call, the open descriptors and the output, without the kernel.
 * @param {CallStore} store @param {number} at call, counted from the first that the trace holds @returns {State}
 */
export function localState(store, at) {
  const row = at - store.first, known = row >= 0 && row < store.length;
  const time = known ? store.end(row) : timeOf(store, at);
  /** @param {string} stream @returns {[string, string]} */
  const output = (stream) => {
    const lines = store.meta.output.filter((entry) => entry[0] <= at && entry[2] === stream);
    return lines.length ? [`${lines.length} write${lines.length === 1 ? "" : "s"}`, lines.slice(-20).map((entry) => entry[3]).join("\n")] : ["", ""];
  };
  return {
    seq: at + store.meta.dropped, time, call: known ? store.nameOf(row) : "", source: null,
    descriptors: store.meta.lives.filter((life) => life.from <= time && (life.to === null || time < life.to || life.to >= store.meta.span)).map((life) => {
      const [, instance, fd, path] = /^(?:(.*?) )??(\d+)<(.*)>$/s.exec(life.label) ?? ["", "", "", life.label];
      return [life.life, fd, path, "", "", "", instance ?? ""];
    }),
    grants: [], files: [], more: { descriptors: 0, files: 0 }, stdout: output("stdout"), stderr: output("stderr"), partial: true,
  };
}

/** When a call had returned, ns, as far as the page knows. @param {CallStore} store @param {number} at @returns {number} */
export function timeOf(store, at) {
  const row = at - store.first;
  if (row >= 0 && row < store.length) return store.end(row);
  return store.meta.calls > 1 ? (at / (store.meta.calls - 1)) * store.span : 0;
}

/** The last call that had returned at a time. @param {CallStore} store @param {number} ns @returns {number} counted from the first held, -1 for none */
export function lastBefore(store, ns) {
  if (!store.length) return store.meta.calls ? Math.max(0, Math.min(store.meta.calls - 1, Math.round((ns / store.span) * (store.meta.calls - 1)))) : -1;
  let row = store.firstAt(ns) - 1;
  while (row > 0 && store.end(row) > ns) row -= 1;
  return Math.max(row, 0) + store.first;
}

/**
 * What is new or different in a table since another moment: the keys of those rows.
 * @param {any[][]} before @param {any[][]} now rows; the first entry is the key @returns {Set<any>}
 */
export function differences(before, now) {
  const known = new Map(before.map((row) => [row[0], JSON.stringify(row)]));
  return new Set(now.filter((row) => known.get(row[0]) !== JSON.stringify(row)).map((row) => row[0]));
}
