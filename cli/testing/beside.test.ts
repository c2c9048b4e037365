import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../fixture/run.ts";
import { findBeside } from "./beside.ts";

test("only files in the folder are beside the file of cases, wherever paths and links lead", (t) => {
  const top = temporaryFolder(t);
  const folder = join(top, "app");
  mkdirSync(join(folder, "below"), { recursive: true });
  for (const path of ["secret", "app/photo.jpg", "app/below/photo.jpg", "app/..odd"])
    writeFileSync(join(top, path), "");
  symlinkSync("../secret", join(folder, "link"));
  symlinkSync("..", join(folder, "above"));
  symlinkSync("below/photo.jpg", join(folder, "inner"));
  symlinkSync("nowhere", join(folder, "dangling"));
  const cases = {
    file: ["photo.jpg", "./below/photo.jpg", "below/../photo.jpg", "inner", "..odd"],
    absent: ["none.jpg", "below", "dangling", "photo.jpg/x"],
    outside: ["../secret", "below/../../secret", "link", "above/secret", "..", join(folder, "photo.jpg"), "../app2"],
  };
  for (const [kind, paths] of Object.entries(cases))
    for (const path of paths) assert.equal(findBeside(folder, path), kind, path);
  // The folder itself may be reached by a link.
  symlinkSync("app", join(top, "alias"));
  assert.equal(findBeside(join(top, "alias"), "photo.jpg"), "file");
});
