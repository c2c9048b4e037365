import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadSystemCalls, MOUNT } from "#base/system-calls.ts";
import { enterOwnMounts } from "./own-mounts.ts";
import { BundleViews } from "./place.ts";

const skip = process.getuid?.() !== 0 && "mounts need root";
if (!skip) await enterOwnMounts();

function scene(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-views-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const bundle = join(folder, "bundle");
  mkdirSync(bundle);
  writeFileSync(join(bundle, "fn.mjs"), "cached");
  const views = join(folder, "views");
  return { bundle, views, view: join(views, "a"), cached: () => readFileSync(join(bundle, "fn.mjs"), "utf8") };
}

test("a view that can't be made read-only is none: nothing is mounted, and the next one is made anew", {
  skip,
}, async (t) => {
  const calls = await loadSystemCalls();
  const { bundle, views: folder, view, cached } = scene(t);
  let refusals = 1;
  const views = new BundleViews(
    {
      ...calls,
      mount(call) {
        if ((call.flags & MOUNT.remount) !== 0 && refusals-- > 0) throw new Error("refused");
        calls.mount(call);
      },
    },
    folder,
  );
  views.open();
  assert.throws(() => views.hold("a", bundle), /refused/);
  assert.ok(!existsSync(view), "something can be written through it");
  assert.equal(cached(), "cached");
  assert.throws(() => writeFileSync(join(views.hold("a", bundle), "fn.mjs"), "changed"), /EROFS/);
  views.release("a");
  assert.ok(!existsSync(view));
  assert.equal(cached(), "cached");
});

test("what is still mounted is not emptied", { skip }, async (t) => {
  const calls = await loadSystemCalls();
  const { bundle, views: folder, view, cached } = scene(t);
  mkdirSync(view, { recursive: true });
  for (let times = 0; times < 2; times++) calls.mount({ source: bundle, target: view, flags: MOUNT.bind });
  try {
    assert.throws(() => new BundleViews(calls, folder).open(), { code: "EBUSY" });
  } finally {
    calls.unmount(view);
  }
  assert.equal(cached(), "cached");
});
