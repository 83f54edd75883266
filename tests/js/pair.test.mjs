import assert from "node:assert/strict";
import test from "node:test";
import { CALL, CHANGED, LONE, Side } from "../../wasilab/views/interactive/js/pair/axis.js";
import { REFUSED } from "../../wasilab/views/interactive/js/data/store.js";

/** Columns of three calls, as Python sends them. */
function columns(rows, kinds) {
  const n = rows.length, view = (array) => new DataView(array.buffer);
  return [Float64Array.from(rows, (_, i) => i * 1000), Float32Array.from(rows, () => 10), new Uint32Array(n), new Uint8Array(n), new Uint8Array(n),
    Uint8Array.from(rows, (_, i) => (i === 0 ? 1 : 0)), new Uint8Array(n), Uint32Array.from(rows), Uint8Array.from(kinds)].map(view);
}

test("a call knows its row in the difference, also when the calls come in parts", () => {
  const side = new Side(9);
  side.append(columns([0, 2], [0, 1]), 2);
  side.place("calls", 900);
  side.append(columns([5], [2]), 1);
  side.place("time", 5000);
  assert.equal(side.length, 3);
  assert.deepEqual([0, 1, 2, 5, 8, 99].map((row) => side.callOf(row)), [0, -1, 1, 2, -1, -1]);
  assert.equal(side.store.verdict[0], REFUSED);
  assert.equal(side.store.verdict[1], CHANGED);
  assert.equal(side.store.verdict[2] & LONE, LONE);
  assert.deepEqual([...side.store.start.subarray(0, 3)], [0, 1000, 0]);
});

test("on the axis of calls each call stands at its row, and by time where it was", () => {
  const side = new Side(9);
  side.append(columns([1, 4], [0, 3]), 2);
  side.place("calls", 9 * CALL);
  assert.deepEqual([...side.store.start.subarray(0, 2)].map((at) => Math.floor(at / CALL)), [1, 4]);
  assert.equal(side.store.span, 9 * CALL);
  side.place("time", 7000);
  assert.deepEqual([...side.store.start.subarray(0, 2)], [0, 1000]);
  assert.equal(side.store.span, 7000);
});
