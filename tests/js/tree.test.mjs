import assert from "node:assert/strict";
import test from "node:test";
import { named, pressed, seen } from "../../wasilab/views/interactive/js/maps/tree.js";

// 0 /data, 1 sub, 2 a, 3 b, 4 c, 5 /tmp
const rows = [[0, "/data", true], [1, "sub", true], [2, "a", false], [2, "b", false], [1, "c", false], [0, "/tmp", false]].map(([depth, name, folder]) => named([depth, name, "", "", 1, 0, 0, 0, 0, folder]));

test("what lies in a closed folder is not seen", () => {
  assert.deepEqual(seen(rows, new Set()), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(seen(rows, new Set([1])), [0, 1, 4, 5]);
  assert.deepEqual(seen(rows, new Set([0, 1])), [0, 5]);
});

test("the arrow keys open, close and walk", () => {
  const closed = new Set();
  assert.equal(pressed(rows, closed, 1, "ArrowLeft"), 1);
  assert.ok(closed.has(1));
  assert.equal(pressed(rows, closed, 1, "ArrowDown"), 4);
  assert.equal(pressed(rows, closed, 4, "ArrowUp"), 1);
  assert.equal(pressed(rows, closed, 1, "ArrowRight"), 1);
  assert.ok(!closed.has(1));
  assert.equal(pressed(rows, closed, 1, "ArrowRight"), 2);
  assert.equal(pressed(rows, closed, 3, "ArrowLeft"), 1);
  assert.deepEqual(["Home", "End", "x"].map((key) => pressed(rows, closed, 2, key)), [0, 5, -1]);
  assert.equal(pressed([], closed, 0, "End"), -1);
});
