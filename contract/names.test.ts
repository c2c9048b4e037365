import assert from "node:assert/strict";
import { test } from "node:test";
import { functionKey, functionPath, isId, isName, isRevision, NAME_RULE, revisionKey } from "./names.ts";

test("names are what is safe in paths, hosts and SQL", () => {
  for (const name of ["a", "7", "shop", "a-b", "a--b", "x".repeat(63)]) assert.ok(isName(name), name);
  const refused = [
    "",
    "-a",
    "a-",
    "A",
    "a_b",
    "a.b",
    "a/b",
    "..",
    "ü",
    "x".repeat(64),
    "a\n",
    "a ",
    7,
    null,
    undefined,
  ];
  for (const name of refused) assert.ok(!isName(name), JSON.stringify(name));
  assert.match(NAME_RULE, /63/);
});

test("ids are 26 characters of Crockford's base 32", () => {
  assert.ok(isId("01JD0000000000000000000000"));
  for (const id of ["", "01JD000000000000000000000", "01JD00000000000000000000000", "01jd0000000000000000000000"])
    assert.ok(!isId(id), id);
  for (const letter of "ILOU") assert.ok(!isId(`${letter}1JD0000000000000000000000`), letter);
  assert.ok(!isId("01JD0000000000000000000000\n"));
});

test("revisions are numbered from r1", () => {
  for (const revision of ["r1", "r10", "r999999999"]) assert.ok(isRevision(revision), revision);
  for (const revision of ["r0", "r01", "1", "r", "R1", "r1000000000000", "r1 ", 1]) assert.ok(!isRevision(revision));
});

test("keys carry the tenant; the default one is left out of URLs only", () => {
  const ref = { tenant: "default", app: "shop", function: "thumbnail", revision: "r7" };
  assert.equal(functionKey(ref), "default/shop/thumbnail");
  assert.equal(revisionKey(ref), "default/shop/thumbnail@r7");
  assert.equal(functionPath(ref), "/fn/shop/thumbnail");
  assert.equal(functionPath({ ...ref, tenant: "acme" }), "/fn/@acme/shop/thumbnail");
});
