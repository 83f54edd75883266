import assert from "node:assert/strict";
import test from "node:test";
import { CallStore } from "../../wasilab/views/interactive/js/data/store.js";
import { arrange } from "../../wasilab/views/interactive/js/lanes.js";
import { Arrows, distance } from "../../wasilab/views/interactive/js/passed/arrows.js";

const READER = 2 ** 24; // the lives of instance 1 begin here

/** A lab of an opener and a reader: `count` descriptors passed, 100 ns apart, each a life of its own; then one refused. */
function lab(count, lanes = 400) {
  const store = new CallStore();
  const words = ["reader.count", "opener", "opener 4<a>", "reader", "reader 3<a>", "fd_write", "opener 77", "", "channel"];
  const rows = Array.from({ length: count }, (_, i) => [i * 100, 0, 1, 2, 1, 3, 4, READER + i + 1, 5, i % 2, i]);
  rows.push([count * 100, 0, 1, 6, -1, 3, 7, 0, 7, 0, -1]);
  const lives = [{ life: 1, label: "opener 4<a>", from: 0, to: null }, ...rows.slice(0, count).map((row) => ({ life: row[7], label: "reader 3<a>", from: row[0], to: row[0] + 50 }))];
  store.meta = { ...store.meta, span: count * 100 + 1, lives, lanes, instances: ["opener", "reader"], families: ["fd"],
    colours: { fd: "#111111", refused: "#222222", guest: "#333333", proc: "#444444" }, signs: { refused: { words: "", char: "", outline: [[0, 0]] } },
    passed: { words, rows, more: 2, forged: ["opener 77"] } };
  const painter = { laneHeight: 22, gutter: 100, width: 1100, height: 400, theme: {}, between: null,
    get plot() { return 1000; },
    x(view, ns) { return 100 + ((ns - view.from) / (view.to - view.from)) * 1000; },
    time(view, x) { return view.from + ((x - 100) / 1000) * (view.to - view.from); } };
  const arrows = new Arrows(store, painter), made = arrange(store, "fd");
  painter.lanes = made.lanes;
  arrows.lanesOf = made.lanesOfFlow;
  return { store, painter, arrows, view: { from: 0, to: store.meta.span, scroll: 0, hover: -1, pinned: -1, selection: null, cursor: NaN } };
}

/** A canvas that counts what is drawn. */
function canvas() {
  const drawn = { curves: 0, strokes: 0 }, ignore = () => {};
  return { drawn, beginPath: ignore, moveTo: ignore, lineTo: ignore, arc: ignore, closePath: ignore, fill: ignore, strokeRect: ignore,
    bezierCurveTo: () => { drawn.curves += 1; }, stroke: () => { drawn.strokes += 1; } };
}

test("an arrow leads from the giver's lane to the receiver's, and a refused number is in a lane of its own", () => {
  const { store, arrows, painter } = lab(3);
  assert.deepEqual(painter.lanes.map((lane) => lane.label), ["guest", "no fd", "opener 77: not open", "opener 4<a>", "reader 3<a>", "reader 3<a>", "reader 3<a>"]);
  assert.deepEqual(arrows.flows.map((flow) => arrows.lanesOf(flow)), [[3, 4], [3, 5], [3, 6], [2, -1]]);
  const byInstance = arrange(store, "instance");
  assert.deepEqual(byInstance.lanes.map((lane) => lane.label), ["guest", "opener", "reader"]);
  assert.deepEqual(arrows.flows.map((flow) => byInstance.lanesOfFlow(flow)), [[1, 2], [1, 2], [1, 2], [1, -1]]);
  assert.equal(arrange(store, "family").lanesOfFlow, undefined);
});

test("a call without a descriptor is in its instance's lane, and in the lane of no descriptor", () => {
  const { store } = lab(1), view = (array) => new DataView(array.buffer), one = (kind, ...values) => view(kind.from(values));
  store.append([one(Float64Array, 0, 9, 20), one(Float32Array, 1, 1, 1), one(Uint32Array, 0, READER, READER + 1), ...[0, 0, 0, 0].map(() => view(new Uint8Array(3)))], 3);
  assert.deepEqual([0, 1, 2].map(arrange(store, "instance").laneOf), [1, 2, 2]);
  assert.deepEqual([0, 1, 2].map(arrange(store, "fd").laneOf), [1, 1, 4]);
});

test("what is passed is said in words", () => {
  const { arrows } = lab(2);
  assert.deepEqual(arrows.words(0), ["opener 4<a> → reader 3<a>", "rights withheld: fd_write", "in the call reader.count; lent until the call returned", "at 0 ns"]);
  assert.match(arrows.words(1)[2], /; kept$/);
  assert.deepEqual(arrows.words(2).slice(0, 2), ["opener 77 → reader: refused", "the number is not an open descriptor"]);
});

test("the arrow under the pointer is found along its curve", () => {
  const { arrows, view } = lab(3), curve = arrows.place(view, 1), half = (curve.from + curve.to) / 2;
  assert.equal(arrows.at(view, curve.x + 0.75 * curve.bend, half), 1);
  assert.equal(arrows.at(view, curve.x + 0.75 * curve.bend + 9, half), -1);
  assert.equal(distance(curve, curve.x, curve.to + 40), Infinity);
  const cross = arrows.place(view, 3);
  assert.ok(Number.isNaN(cross.to));
  assert.equal(arrows.at(view, cross.x - 3, cross.from + 3), 3);
  arrows.lanesOf = undefined;
  assert.equal(arrows.at(view, curve.x, curve.from), -1);
});

test("only what is in sight is looked at, and no two arrows of the same lanes in the same place", () => {
  const { arrows, view, store } = lab(2000, 3); // all but two receivers share a lane
  let asked = 0;
  const { lanesOf } = arrows;
  arrows.lanesOf = (flow) => { asked += 1; return lanesOf(flow); };
  const whole = canvas();
  arrows.paint(whole, view);
  assert.ok(arrows.drawn > 300 && arrows.drawn <= 340, `${arrows.drawn}`);
  assert.ok(whole.drawn.strokes <= 4, "all arrows are one path");
  asked = 0;
  const part = canvas();
  arrows.paint(part, { ...view, from: 50_000, to: 51_000 });
  assert.ok(asked < 40, `${asked}`);
  assert.equal(arrows.drawn, 11);
  assert.equal(part.drawn.curves, 22); // with a halo
  store.meta.passed = undefined;
  arrows.paint(canvas(), view);
  assert.equal(arrows.drawn, 0);
});
