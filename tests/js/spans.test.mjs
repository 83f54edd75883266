import assert from "node:assert/strict";
import test from "node:test";
import { changed, keyOf, listed, typedSpan } from "../../wasilab/views/interactive/js/onward/spans.js";

test("a note is on a call or on a range, whichever end comes first", () => {
  assert.equal(keyOf(4, 4), "4");
  assert.equal(keyOf(9, 3), "3-9");
  assert.deepEqual(listed({ "9": "c", "3-9": "b", "3": "a", nonsense: "x", "1-": "x", "-1": "x" }).map(({ key, first, last }) => [key, first, last]), [["3", 3, 3], ["3-9", 3, 9], ["9", 9, 9]]);
});

test("a note is changed in a copy, and removed when nothing is left of it", () => {
  const notes = { "3": "a" };
  assert.deepEqual(changed(notes, "3-9", " b "), { "3": "a", "3-9": "b" });
  assert.deepEqual(changed(notes, "3", "  "), {});
  assert.deepEqual(notes, { "3": "a" });
});

test("calls are typed with the numbers that are shown", () => {
  assert.deepEqual(typedSpan("12", 10, 5), { first: 2, last: 2 });
  for (const typed of ["11-13", " 11 to 13 ", "11..13", "#11-#13", "13-11"]) assert.deepEqual(typedSpan(typed, 10, 5), { first: 1, last: 3 }, typed);
  assert.deepEqual(typedSpan("1,011", 0, 2000), { first: 1011, last: 1011 });
  assert.match(String(typedSpan("9", 10, 5)), /no call 9: they are 10 to 14/);
  assert.match(String(typedSpan("12-15", 10, 5)), /no call 15/);
  assert.match(String(typedSpan("all", 10, 5)), /names no calls: write 12, or 3-9/);
  assert.match(String(typedSpan("1", 0, 0)), /no call yet/);
});
