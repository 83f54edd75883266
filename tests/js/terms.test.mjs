import assert from "node:assert/strict";
import test from "node:test";
import { narrowed, parts, stance, without } from "../../wasilab/views/interactive/js/filter/terms.js";

test("an expression is a list of terms, unless it says or", () => {
  assert.deepEqual(parts(""), []);
  assert.deepEqual(parts('call=fd_* not  errno=ENOENT and path="a b" !ok'), ["call=fd_*", "not errno=ENOENT", 'path="a b"', "!ok"]);
  assert.deepEqual(parts('(a or b) path~"^x or \\" y\\\\"'), ["(a or b)", 'path~"^x or \\" y\\\\"']);
  for (const odd of ["a or b", "a || b", "(a", 'path="x', "a)"]) assert.equal(parts(odd), null, odd);
});

test("a value is asked for, excluded instead, and let go of", () => {
  const only = narrowed("", "call=fd_read");
  assert.equal(only, "call=fd_read");
  assert.equal(stance(only, "call=fd_read"), 1);
  const both = narrowed(only, 'path="a b"', true);
  assert.equal(both, 'call=fd_read not path="a b"');
  assert.equal(stance(both, 'path="a b"'), -1);
  assert.equal(narrowed(both, 'path="a b"'), 'call=fd_read path="a b"');
  assert.equal(narrowed(both, "call=fd_read"), 'not path="a b" call=fd_read');
  assert.equal(without(both, 'path="a b"'), "call=fd_read");
  assert.equal(stance(both, "ok"), 0);
});

test("an expression with or stays what it was", () => {
  assert.equal(narrowed("refused or failed", "handle=3"), "(refused or failed) handle=3");
  assert.equal(narrowed("(refused or failed) handle=3", "ok", true), "(refused or failed) handle=3 not ok");
  assert.equal(without("a or b", "a"), "a or b");
});
