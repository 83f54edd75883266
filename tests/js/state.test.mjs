import assert from "node:assert/strict";
import test from "node:test";
import { CallStore } from "../../wasilab/views/interactive/js/data/store.js";
import { differences, lastBefore, localState, timeOf } from "../../wasilab/views/interactive/js/travel/state.js";

function filled(calls) {
  const store = new CallStore();
  const view = (array) => new DataView(array.buffer);
  const starts = Float64Array.from({ length: calls }, (_, i) => i * 100), durs = new Float32Array(calls).fill(50), bytes = new Uint8Array(calls);
  store.meta = { ...store.meta, calls, span: calls * 100,
    lives: [{ life: 1, label: "3</data>", from: 0, to: calls * 100 }, { life: 2, label: "4</data/a<b>>", from: 250, to: 650 }],
    output: [[2, 200, "stdout", "one"], [5, 500, "stderr", "two"]], names: [["fd_read", 0, "", ""]] };
  store.append([view(starts), view(durs), view(new Uint32Array(calls)), view(bytes), view(bytes), view(bytes), view(bytes)], calls);
  return store;
}

test("a time is after the last call that had returned", () => {
  const store = filled(10);
  assert.deepEqual([0, 49, 50, 151, 949, 1e9].map((ns) => lastBefore(store, ns)), [0, 0, 0, 1, 8, 9]);
  assert.equal(timeOf(store, 3), 350);
  store.length = 0; // not here yet: the place among all calls is estimated
  assert.equal(lastBefore(store, 500), 5);
  assert.equal(lastBefore(new CallStore(), 500), -1);
});

test("without the kernel the page knows the open descriptors and the output", () => {
  const store = filled(10), at = (row) => localState(store, row);
  assert.deepEqual(at(1).descriptors.map((one) => one[1]), ["3"]);
  assert.deepEqual(at(3).descriptors.map((one) => [one[1], one[2]]), [["3", "/data"], ["4", "/data/a<b>"]]);
  assert.deepEqual(at(9).descriptors.map((one) => one[1]), ["3"]);
  assert.deepEqual([at(1).stdout, at(3).stdout, at(9).stderr], [["", ""], ["1 write", "one"], ["1 write", "two"]]);
});

test("without the kernel the instance of a descriptor is told from its number", () => {
  const store = filled(10);
  store.meta.lives = ["opener 3</data>", "a <b> 4</data/x 5<y>>", "7<plain 8<p>>"].map((label, life) => ({ life, label, from: 0, to: null }));
  assert.deepEqual(localState(store, 1).descriptors.map((one) => [one[6], one[1], one[2]]),
    [["opener", "3", "/data"], ["a <b>", "4", "/data/x 5<y>"], ["", "7", "plain 8<p>"]]);
});

test("what differs between two moments is found by its key", () => {
  assert.deepEqual([...differences([[1, "a"], [2, "b"]], [[1, "a"], [2, "c"], [3, "d"]])], [2, 3]);
});
