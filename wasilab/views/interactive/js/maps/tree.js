// A tree whose folders open and close, as rows with a depth: the visible rows, and the keys. It does not draw.

/**
 * @typedef {Object} Row  made by views/interactive/maps.py
 * @property {number} depth @property {string} name @property {string} words  what was done @property {string} term  of a filter
 * @property {number} calls @property {number} read @property {number} written  bytes @property {number} refused @property {number} failed
 * @property {boolean} folder
 */

/** @param {any[]} row @returns {Row} */
export function named([depth, name, words, term, calls, read, written, refused, failed, folder]) {
  return { depth, name, words, term, calls, read, written, refused, failed, folder };
}

/** The indices of the visible rows. @param {{depth: number}[]} rows @param {Set<number>} closed folders @returns {number[]} */
export function seen(rows, closed) {
  const found = [];
  let hidden = Infinity; // deeper rows are in a closed folder
  for (const [at, row] of rows.entries()) {
    if (row.depth > hidden) continue;
    hidden = closed.has(at) ? row.depth : Infinity;
    found.push(at);
  }
  return found;
}

/**
 * The effect of a key on the row at `now`, by the ARIA pattern of trees.
 * @param {{depth: number, folder: boolean}[]} rows @param {Set<number>} closed is changed @param {number} now @param {string} key @returns {number} the row that has the focus then; -1 when the key does nothing
 */
export function pressed(rows, closed, now, key) {
  const shown = seen(rows, closed), at = shown.indexOf(now), row = rows[now];
  if (!row) return -1;
  if (key === "ArrowDown") return shown[Math.min(at + 1, shown.length - 1)];
  if (key === "ArrowUp") return shown[Math.max(at - 1, 0)];
  if (key === "Home") return shown[0];
  if (key === "End") return shown[shown.length - 1];
  if (key === "ArrowRight" && row.folder) {
    if (!closed.delete(now)) return shown[at + 1] ?? now;
    return now;
  }
  if (key === "ArrowLeft") {
    if (row.folder && !closed.has(now)) {
      closed.add(now);
      return now;
    }
    for (let above = now - 1; above >= 0; above--) if (rows[above].depth < row.depth) return above;
    return now;
  }
  return -1;
}
