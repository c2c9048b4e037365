import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileReason } from "./reason.ts";

test("why a file could not be used is said in words, also of what is not known here", () => {
  const reasonOf = (path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      return fileReason(error);
    }
  };
  assert.equal(reasonOf("/nowhere"), "there is no such file or folder");
  assert.equal(reasonOf("/dev/null/x"), "what stands before a slash is no folder");
  assert.equal(reasonOf("/"), "it is a folder");
  assert.equal(fileReason(Object.assign(new Error("EODD: odd"), { code: "EODD" })), "EODD: odd");
  assert.equal(fileReason({ code: "EODD" }), "EODD");
});
