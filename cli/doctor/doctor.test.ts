import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Leftover } from "#platform/main/leftovers.ts";
import { FixturePlatform } from "../fixture/platform.ts";
import { colibri, envFor, temporaryFolder } from "../fixture/run.ts";
import type { Finding } from "./finding.ts";
import { isMeant, told } from "./leftovers.ts";
import { checkMemory, checkOpenFiles, checkSystem, checkUserNamespaces } from "./machine.ts";
import { healthFindings, runtimeFindings, wallFindings } from "./place.ts";
import { checkNode, checkNpm, checkPip, checkPython } from "./programs.ts";

async function examined(
  env: Record<string, string>,
  cwd: string,
): Promise<{ code: number | null; findings: Finding[] }> {
  const { code, out, err } = await colibri(["doctor", "--json"], { env, cwd });
  assert.equal(err, "");
  return { code, findings: JSON.parse(out).findings };
}

const about = (findings: readonly Finding[], check: string) => findings.find((finding) => finding.check === check);

describe("doctor", () => {
  test("finds a platform that runs, and fails nothing", async (t) => {
    const platform = new FixturePlatform();
    await platform.start();
    t.after(() => platform.stop());
    const { code, findings } = await examined(envFor(platform), temporaryFolder(t));
    assert.equal(code, 0);
    assert.match(about(findings, "platform")!.detail, /^9\.9\.9 runs at .*, sandbox process \(no isolation\)$/);
    assert.equal(about(findings, "Node")!.verdict, "ok");
    assert.deepEqual(about(findings, "runtime nodejs"), {
      check: "runtime nodejs",
      verdict: "ok",
      detail: "24.0.0, its own",
    });
    assert.equal(about(findings, "runtime python")!.remedy, "python3 is not installed");
    assert.match(about(findings, "sandbox container")!.detail, /^(works|does not work here): /);
  });

  test("a port that is taken fails, with the variable to set", async (t) => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { port } = server.address() as { port: number };
    const env = { COLIBRI_PORT: String(port), COLIBRI_CONTROL_PORT: "0" };
    const { code, findings } = await examined(env, temporaryFolder(t));
    assert.equal(code, 1);
    const taken = about(findings, `port ${port}`)!;
    assert.equal(taken.verdict, "fail");
    assert.match(taken.detail, /taken by another program/);
    assert.match(taken.remedy!, /COLIBRI_PORT/);
  });

  test("a home that is no folder fails", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "file"), "");
    const { code, findings } = await examined({ COLIBRI_HOME: "file/home", COLIBRI_PORT: "0" }, cwd);
    assert.equal(code, 1);
    assert.match(about(findings, "home")!.detail, /file is not a folder/);
  });

  test("settings that `npm start` refuses fail, with what it says", async (t) => {
    const cwd = temporaryFolder(t);
    const refused = async (env: Record<string, string>, check: string) => {
      const { code, findings } = await examined({ COLIBRI_PORT: "0", COLIBRI_CONTROL_PORT: "0", ...env }, cwd);
      assert.equal(code, 1);
      assert.equal(about(findings, check)!.verdict, "fail");
      return about(findings, check)!;
    };
    assert.match((await refused({ COLIBRI_SANDBOX: "microvm" }, "isolation")).detail, /not part of this version/);
    const docker = await refused({ COLIBRI_SANDBOX: "docker" }, "settings");
    assert.match(docker.detail, /refuses: COLIBRI_SANDBOX is "docker": it takes auto, process, container, microvm$/);
    assert.match((await refused({ COLIBRI_PORT: "x" }, "settings")).detail, /COLIBRI_PORT is "x": it takes a port/);
    const runtime = await refused({ COLIBRI_OCI_RUNTIME: "/nowhere/crun" }, "isolation");
    assert.match(runtime.detail, /COLIBRI_OCI_RUNTIME=\/nowhere\/crun is not there|it needs root/);
    assert.match(runtime.remedy!, /crun, runc, runsc|as root/);
  });

  test("settings in force are shown, and those that are probably not meant so", async (t) => {
    const env = { COLIBRI_POOL: "off", COLIBRI_SANDBX: "container", COLIBRI_PORT: "0", COLIBRI_CONTROL_PORT: "0" };
    const { findings } = await examined(env, temporaryFolder(t));
    const settings = findings.filter(({ check }) => check === "settings");
    assert.deepEqual(
      settings.map(({ verdict, detail, remedy }) => [verdict, detail.split(" ")[0], remedy]),
      [
        ["ok", "COLIBRI_POOL=off", undefined],
        ["warn", "COLIBRI_SANDBX", "did you mean COLIBRI_SANDBOX?"],
      ],
    );
  });

  test("functions without walls are not fine, whoever wants them so", async (t) => {
    const env = { COLIBRI_SANDBOX: "process", COLIBRI_PORT: "0", COLIBRI_CONTROL_PORT: "0" };
    const { code, findings } = await examined(env, temporaryFolder(t));
    assert.equal(code, 0);
    const { verdict, detail } = about(findings, "isolation")!;
    assert.equal(verdict, "warn");
    assert.match(detail, /^process, as COLIBRI_SANDBOX=process says: functions run without walls/);
  });

  test("text has a sign, and the remedy below", async (t) => {
    const wanted = { COLIBRI_SANDBOX: "container", COLIBRI_OCI_RUNTIME: "/nowhere/crun" };
    const env = { ...wanted, COLIBRI_PORT: "0", COLIBRI_CONTROL_PORT: "0" };
    const { code, out } = await colibri(["doctor"], { env, cwd: temporaryFolder(t) });
    assert.equal(code, 1);
    assert.match(out, /^✓ Node +24\./m);
    assert.match(
      out,
      /^✗ isolation +`npm start` refuses: containers, which were asked for, don't work here: .*\n +→ /m,
    );
    assert.match(out, /\n1 problem must be solved before Colibri works here\.\n$/);
  });
});

describe("what doctor judges", () => {
  test("leftovers are removed of platforms that are surely dead, or of the one that is named", () => {
    const nothing = { id: "3f2a10", key: undefined, processes: [], hasTable: true, links: ["cb3f2a10-1"] };
    const dead: Leftover = { ...nothing, owner: { kind: "dead", home: "/srv/home" } };
    const unknown: Leftover = { ...nothing, owner: { kind: "unknown" } };
    const meant = [undefined, true, "3f2a10", "000000"] as const;
    assert.deepEqual(
      meant.map((clean) => [isMeant(dead, clean), isMeant(unknown, clean)]),
      [
        [false, false],
        [true, false],
        [true, true],
        [false, false],
      ],
    );
    assert.deepEqual(told(dead), {
      ...{ check: "leftovers", verdict: "warn", remedy: "npx colibri doctor --clean" },
      detail: "the nft table inet colibri_3f2a10, 1 network interface, of /srv/home, whose platform was killed",
    });
    assert.match(told(unknown).remedy!, /^If you know that it does not run: .* --clean 3f2a10$/);
  });

  test("programs: there, too old, missing", async (t) => {
    const folder = temporaryFolder(t);
    const program = (name: string, answer: string): void => {
      writeFileSync(join(folder, name), `#!/bin/sh\necho '${answer}'\n`);
      chmodSync(join(folder, name), 0o755);
    };
    const env = { PATH: folder };
    for (const check of [checkPython, checkPip, checkNpm]) assert.equal((await check(env)).verdict, "warn");
    program("python3", "Python 3.7.2");
    assert.match((await checkPython(env)).remedy!, /3\.9 or later/);
    program("python3", "Python 3.11.2");
    program("npm", "10.1.0");
    assert.deepEqual(await checkPython(env), { check: "python3", verdict: "ok", detail: "3.11.2" });
    assert.deepEqual(await checkNpm(env), { check: "npm", verdict: "ok", detail: "10.1.0" });
  });

  test("Node, system, memory, open files, namespaces", () => {
    assert.equal(checkNode("22.9.0", "node").verdict, "fail");
    assert.equal(checkNode("24.0.0", "node").verdict, "ok");
    assert.equal(checkSystem("darwin", "23").verdict, "fail");
    assert.equal(checkMemory(() => "MemAvailable:    102400 kB\n").verdict, "warn");
    assert.equal(
      checkMemory((path) => (path === "/proc/meminfo" ? "MemAvailable: 9999999 kB\n" : undefined)).verdict,
      "ok",
    );
    assert.equal(
      checkOpenFiles(() => "Max open files            1024                 1024      files\n").verdict,
      "warn",
    );
    assert.equal(checkOpenFiles(() => undefined).verdict, "info");
    const kernel = (files: Record<string, string>) => checkUserNamespaces((path) => files[path]).detail;
    assert.equal(kernel({}), "not available");
    assert.equal(kernel({ "/proc/sys/user/max_user_namespaces": "100\n" }), "available");
    assert.equal(
      kernel({ "/proc/sys/user/max_user_namespaces": "100", "/proc/sys/kernel/unprivileged_userns_clone": "0\n" }),
      "for root only",
    );
  });

  test("a platform with a role away fails, and what was dropped is told", () => {
    const role = { role: "agent", instance: "agent-1", pid: 1, since: "2026-01-31T12:00:00.000Z" };
    const health = { version: "1", sandbox: { technology: "process", isolation: "none", detail: "" } };
    const control = { value: "http://127.0.0.1:8081", from: "test" };
    const away = {
      ...{ ...health, status: "degraded" as const, dropped: {}, storage: [] },
      roles: [{ ...role, state: "away" as const }],
    };
    assert.match(healthFindings(away, { control })[0]!.detail, /away: agent since 2026/);
    assert.equal(healthFindings(away, { control })[0]!.verdict, "fail");
    const fine = {
      ...health,
      status: "ok" as const,
      roles: [],
      dropped: { "gateway-1": 1, "agent-1": 0 },
      storage: [],
    };
    assert.deepEqual(
      healthFindings(fine, { control }).map(({ verdict }) => verdict),
      ["ok", "warn"],
    );
    assert.equal(healthFindings(fine, { control })[1]!.detail, "gateway-1 could not keep 1 item");
    const since = "2026-01-31T12:00:00.000Z";
    const storage = [{ what: "records", path: "/home/control", problem: "full", remedy: "Free some room.", since }];
    const full = healthFindings({ ...fine, status: "degraded", dropped: {}, storage }, { control });
    assert.deepEqual(
      full.map(({ check, verdict }) => [check, verdict]),
      [
        ["platform", "ok"],
        ["records", "fail"],
      ],
    );
    assert.equal(full[1]!.detail, `/home/control can't be written since ${since}: full`);
    assert.equal(full[1]!.remedy, "Free some room.");
  });

  test("a platform that runs: by what its sandboxes are made, and what to do where they have no walls", () => {
    const control = { value: "http://127.0.0.1:8081", from: "test" };
    const empty = { version: "1", status: "ok" as const, roles: [], dropped: {}, storage: [] };
    const sandbox = { technology: "container", isolation: "container", detail: "runsc 1, cgroups hybrid" };
    const walls = { ...empty, sandbox };
    assert.equal(
      healthFindings(walls, { control })[0]!.detail,
      "1 runs at http://127.0.0.1:8081, sandbox container (runsc 1, cgroups hybrid)",
    );
    assert.deepEqual(wallFindings(walls, true), []);
    const none = { ...empty, sandbox: { technology: "process", isolation: "none", detail: "" } };
    for (const [containersWork, remedy] of [
      [true, /^Containers work here: start it again/],
      [false, /what containers need here/],
      ["elsewhere", /on its machine/],
    ] as const) {
      const [finding] = wallFindings(none, containersWork);
      assert.equal(finding!.verdict, "warn");
      assert.match(finding!.remedy!, remedy);
    }
  });

  test("a runtime's version and what is known of it, where either is", () => {
    const node = { name: "nodejs", available: true };
    const details = [
      { ...node, version: "24.0.0", detail: "" },
      { ...node, version: "24.0.0", detail: "its own" },
      { ...node, detail: "its own" },
    ];
    assert.deepEqual(
      runtimeFindings(details).map(({ detail }) => detail),
      ["24.0.0", "24.0.0, its own", "its own"],
    );
  });
});
