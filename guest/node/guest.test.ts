import { fileURLToPath } from "node:url";
import type { GuestFunctions } from "#guest/testing/guest-suite.ts";
import { guestSuite } from "#guest/testing/guest-suite.ts";

const command = { file: process.execPath, args: [fileURLToPath(new URL("./main.ts", import.meta.url))] };

const module = (source: string) => ({ handler: "index.mjs", files: { "index.mjs": source } });

const COUNT = `
  globalThis.loads = (globalThis.loads ?? 0) + 1;
  let inits = 0;
  export default () => ({ inits, loads: globalThis.loads, pid: process.pid });
`;

const errors = (before: string) => `
  const forms = {
    error() { throw new TypeError("it broke"); },
    text() { throw "plain"; },
    circular() { const it = {}; it.it = it; return it; },
    unserialisable() { return 7n; },
    async *first() { throw new TypeError("it broke"); },
    async *late() { yield "a"; throw new TypeError("it broke"); },
  };
  export default ${before};
`;

const functions: GuestFunctions = {
  echo: module("export default (input) => input;"),
  kind: module(`
    export default (input) => {
      if (input === undefined || input === null) return { kind: "nothing", value: null };
      if (typeof input === "string") return { kind: "text", value: input };
      if (input instanceof Uint8Array) return { kind: "bytes", value: [...input] };
      return { kind: "json", value: input };
    };
  `),
  answer: module(`
    const forms = {
      nothing: () => undefined,
      text: () => "grüße",
      empty: () => "",
      bytes: () => new Uint8Array([0, 1, 255]),
      object: () => ({ a: 1 }),
      array: () => [1, 2],
      number: () => 1.5,
      true: () => true,
      false: () => false,
      async *texts() { yield "a"; yield "b"; await null; yield "ü"; },
      async *pieces() { for (const byte of [0, 1, 255]) yield new Uint8Array([byte]); },
      async *none() {},
      large: () => "x".repeat(1 << 20),
    };
    export default ({ form }) => forms[form]();
  `),
  error: module(errors("({ form }) => forms[form]()")),
  asyncError: module(
    errors("async ({ form }) => { await new Promise((go) => setTimeout(go, 1)); return forms[form](); }"),
  ),
  http: module(`
    const pages = {
      "/made": () => {
        const headers = new Headers({ "x-made": "yes" });
        headers.append("set-cookie", "a=1");
        headers.append("set-cookie", "b=2");
        return new Response("made", { status: 201, headers });
      },
      "/empty": () => new Response(null, { status: 204 }),
      "/unchanged": () => new Response(null, { status: 304 }),
      "/echo": (request) => new Response(request.body),
      "/unread": () => new Response("unread"),
      "/throw": () => { throw new TypeError("it broke"); },
      async "/about"(request, url) {
        const { method } = request;
        const body = await request.text();
        return Response.json({ method, path: url.pathname, query: url.search.slice(1), header: request.headers.get("x-header"), body });
      },
      "/": () => new Response("home"),
    };
    export default {
      async fetch(request) {
        const url = new URL(request.url);
        return pages[url.pathname](request, url);
      },
    };
  `),
  context: module(`
    export default (_input, context) => {
      const { invocation, tenant, app, revision, deadline, trace, request } = context;
      const facts = { invocation, tenant, app, function: context.function, revision, trace, request };
      return { ...facts, deadlineMs: deadline.getTime(), remainingMs: context.remaining() };
    };
  `),
  log: module(`
    export default async ({ marker, ms }, { log }) => {
      console.log("out %s", marker);
      await new Promise((resolve) => setTimeout(resolve, ms));
      process.stderr.write("err " + marker + "\\n");
      for (const level of ["debug", "info", "warn", "error"]) log[level](level, marker);
      return "logged";
    };
  `),
  flood: module(`
    const line = "x".repeat(1000);
    export default ({ lines }) => {
      for (let index = 0; index < lines; index++) console.log(line);
      return "flooded";
    };
  `),
  wait: module(`
    export default ({ ms, marker }, { signal }) => new Promise((resolve) => {
      console.log("begun", marker);
      const end = (how) => { clearTimeout(timer); console.log(how, marker); resolve(how + " " + marker); };
      const timer = setTimeout(end, ms, "waited");
      if (signal.aborted) end("aborted");
      else signal.addEventListener("abort", () => end("aborted"));
    });
  `),
  count: module(`${COUNT} export const init = () => { inits++; };`),
  initFails: module(`${COUNT} export const init = async () => { if (++inits === 1) throw new TypeError("not yet"); };`),
  initHangs: module("export default () => 1; export const init = () => new Promise(() => {});"),
  environment: module("export default () => ({ ...process.env });"),
  exit: module(`
    export default ({ code, ms }) => {
      if (ms === 0) process.exit(code);
      return new Promise(() => setTimeout(() => process.exit(code), ms));
    };
  `),
  spin: module(`
    export default async ({ spin }) => {
      if (!spin) return "fine";
      console.log("spinning");
      await new Promise((go) => setTimeout(go, 20));
      for (;;);
    };
  `),
  startsOnce: module(`
    import { existsSync, writeFileSync } from "node:fs";
    export const init = () => {
      if (existsSync(process.env.HOME + "/once")) throw new Error("once is enough");
      writeFileSync(process.env.HOME + "/once", "");
    };
    export default () => "started";
  `),
  exitsAtLoad: module("process.exit(5);"),
  syntaxError: { ...module("export default () => 1;\n\nconst broken = = 1;\n"), place: /^index\.mjs:3: / },
  throwsAtLoad: module('throw new TypeError("broken at load");'),
  missingExport: {
    handler: "index.mjs#absent",
    files: { "index.mjs": "export const present = () => 1;" },
    expected: /index\.mjs has no export absent; it exports present/,
  },
};

guestSuite("the Node guest", command, functions, { runtime: "nodejs", lacks: "threads" });
guestSuite("the Node guest, a process for each slot", command, functions, { runtime: "nodejs", execution: "process" });
