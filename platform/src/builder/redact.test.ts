import assert from "node:assert/strict";
import { test } from "node:test";
import { createRedactor } from "./redact.ts";

test("secrets are blanked, known or by their form", () => {
  const redact = createRedactor(["hunter2", "hunter22", "abc"]);
  const lines: [string, string][] = [
    ["the password hunter22 failed", "the password *** failed"],
    ["GET https://user:pw@host/x and http://token@host", "GET https://***@host/x and http://***@host"],
    ["//r.example/:_authToken=abcdef", "//r.example/:_authToken=***"],
    ["npm_abcdefghijklmnopqrst1234 is no token", "*** is no token"],
    ["Authorization: Bearer abcdefgh.ijkl", "Authorization: Bearer ***"],
    ["abc is too short to blank, a@b.c is an address", "abc is too short to blank, a@b.c is an address"],
  ];
  for (const [line, shown] of lines) assert.equal(redact(line), shown);
});
