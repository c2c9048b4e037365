import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { banner } from "./banner.ts";
import { homePaths } from "./home.ts";
import { type ContainerProbe, judgeSandbox, probeContainers, type SandboxChosen } from "./sandbox-choice.ts";

const ASKED = { sandbox: "auto", ociRuntime: undefined, rootFolders: {} } as const;
const WORKS: ContainerProbe = {
  ...{ works: true, detail: "crun 1, cgroups hybrid", doubts: [] },
  runtime: {
    ...{ name: "crun", path: "/bin/crun", version: "crun version 1", deliver: "mount" },
    ...{ userNamespace: true, masksWith: "host" },
  },
};
const LACKS: ContainerProbe = { works: false, reason: "it needs root", remedy: "Start it as root." };

test("auto takes the best that works, and says how to have better", () => {
  const best = judgeSandbox(ASKED, WORKS, "/nowhere");
  assert.ok(best.kind === "chosen");
  assert.deepEqual([best.technology, best.detail], ["container", "crun 1, cgroups hybrid"]);
  assert.match(best.advice!, /COLIBRI_OCI_RUNTIME=runsc \(gVisor\), once it is installed/);
  const gvisor = judgeSandbox(ASKED, { ...WORKS, runtime: { ...WORKS.runtime, name: "runsc" } }, "/nowhere");
  assert.ok(gvisor.kind === "chosen" && gvisor.advice === undefined);
  const less = judgeSandbox(ASKED, LACKS, "");
  const advice = "containers: it needs root → Start it as root.";
  assert.deepEqual(less, { kind: "chosen", technology: "process", detail: "", advice });
});

test("processes that are asked for are told that containers would work", () => {
  const chosen = judgeSandbox({ ...ASKED, sandbox: "process" }, WORKS, "");
  assert.ok(chosen.kind === "chosen");
  assert.deepEqual([chosen.technology, chosen.advice], ["process", "unset COLIBRI_SANDBOX: containers work here"]);
});

test("what is asked for and can't be had is refused, never replaced by something weaker", () => {
  const refused = { kind: "refused", reason: /don't work here: it needs root$/, remedy: "Start it as root." };
  for (const asked of [{ sandbox: "container" }, { ociRuntime: "crun" }, { rootFolders: { "*": "/" } }] as const) {
    const judged = judgeSandbox({ ...ASKED, ...asked }, LACKS, "");
    assert.ok(judged.kind === "refused");
    assert.match(judged.reason, refused.reason);
    assert.equal(judged.remedy, refused.remedy);
  }
  assert.equal(judgeSandbox({ ...ASKED, sandbox: "microvm" }, WORKS, "").kind, "refused");
  const image = judgeSandbox({ ...ASKED, rootFolders: { "*": "/no/such/folder" } }, WORKS, "");
  assert.ok(image.kind === "refused");
  assert.match(image.reason, /\/no\/such\/folder.* there is no such folder/);
});

test("the banner says what is in force and how to have better", () => {
  const addresses = { functions: "http://127.0.0.1:8080", control: "http://127.0.0.1:8081" };
  const shown = (chosen: SandboxChosen | undefined, settings = "") =>
    banner(homePaths("/srv/home"), addresses, chosen, settings);
  const processes = judgeSandbox({ ...ASKED, sandbox: "process" }, WORKS, "");
  assert.ok(processes.kind === "chosen");
  assert.match(shown(processes), /Isolation {3}process: .*for code you trust\n {14}unset COLIBRI_SANDBOX/);
  const containers = judgeSandbox(ASKED, WORKS, "");
  assert.ok(containers.kind === "chosen");
  assert.match(shown(containers), /Isolation {3}container: crun 1, cgroups hybrid\n {14}stronger walls/);
  assert.match(shown(undefined), /Isolation {3}elsewhere\n {2}State/);
  assert.match(shown(undefined, "COLIBRI_POOL=off"), /elsewhere\n {2}Settings {4}COLIBRI_POOL=off\n {2}State/);
});

test("what networks lack is told as a command that can be typed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-choice-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const probe = await probeContainers({ wanted: undefined, searchPath: process.env.PATH ?? "", toolFolders: [folder] });
  if (!probe.works && !/program ip/.test(probe.reason)) return t.skip(probe.reason);
  assert.ok(!probe.works);
  assert.deepEqual([probe.reason, probe.remedy], ["the program ip is missing", "apt-get install iproute2"]);
});
