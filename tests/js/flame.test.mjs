import assert from "node:assert/strict";
import test from "node:test";
import { flame, frame } from "../../wasilab/views/interactive/js/flame/layout.js";

// main(60) -> read(40, a leaf), helper(20) -> write(20, a leaf); start(40) -> write(40)
const frames = [[0, "main", 60], [1, "read", 40], [1, "helper", 20], [2, "write", 20], [0, "start", 40], [1, "write", 40]].map(([depth, name, time]) => frame([depth, name, "", "", true, time, 1, 0, 0]));

test("a frame lies below the one that called it, beside what was called before", () => {
  const places = flame(frames, "time");
  assert.deepEqual(places.map(({ at, left, width }) => [frames[at].name, left, width]), [["main", 0, 0.6], ["read", 0, 0.4], ["helper", 0.4, 0.2], ["write", 0.4, 0.2], ["start", 0.6, 0.4], ["write", 0.6, 0.4]]);
});

test("what is too narrow to be seen is left out, and nothing is drawn of nothing", () => {
  assert.deepEqual(flame(frames, "time", 0.3).map(({ at }) => frames[at].name), ["main", "read", "start", "write"]);
  assert.deepEqual(flame(frames, "bytes"), []);
  assert.deepEqual(flame([], "time"), []);
});
