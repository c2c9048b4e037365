import type { KEYS } from "./keys.ts";

type Path = (typeof KEYS)[number]["path"];

/** What each key means, in Markdown: docs/configuration.md says it, and an editor that knows colibri.schema.json shows it. */
export const MEANINGS: Readonly<Record<Path, string>> = Object.freeze({
  app: "Name of the app: lower-case letters, digits and inner hyphens, at most 63 characters.",
  env: "Environment variables of every function.",
  "env.*":
    "One variable. Numbers and booleans are taken as they are spelled; names that begin with `COLIBRI_` are reserved.",
  network:
    "What the sandboxes of every function may reach: `internet`, `none`, or `{ allow: […] }`. No policy opens private addresses.",
  "network.allow":
    "Hosts that may be reached, and no others: `example.com`, `*.example.com` (the names below it), `203.0.113.7`, `203.0.113.0/24`, each with an optional `:port`; at most 256.",
  functions: "The functions, by name. Names follow the same rule as `app`.",
  "functions.*": "One function.",
  "functions.*.runtime": "`nodejs` or `python`; a version may follow, as in `nodejs24` or `python3.11`.",
  "functions.*.source": "Folder of the function's code, relative to this file.",
  "functions.*.handler": "`file` or `file#export`, relative to `source`.",
  "functions.*.memory": "Memory of one sandbox, in whole MiB; rounded up to a multiple of 64 MiB.",
  "functions.*.timeout": "From the start of an invocation to the end of its answer.",
  "functions.*.initTimeout": "For loading the code and running `init`.",
  "functions.*.concurrency":
    "Slots of one sandbox: invocations that it runs at the same time. 1 means one after the other. With `execution: process` the default is 4.",
  "functions.*.execution": "How a sandbox runs its slots: `loop`, `threads` or `process`.",
  "functions.*.env": "Environment variables of this function; they go before those of the app.",
  "functions.*.env.*": "One variable.",
  "functions.*.scaling": "How many sandboxes there are.",
  "functions.*.scaling.min": "Sandboxes that stay when nobody calls.",
  "functions.*.scaling.max": "Sandboxes that there are at most.",
  "functions.*.scaling.keepAlive": "How long an idle sandbox above `min` stays.",
  "functions.*.scaling.freezeAfter":
    "How long an idle sandbox, also one of `min`, goes on before it is frozen; the next invocation thaws it. `never` leaves it running.",
  "functions.*.queue": "Where invocations wait for a slot.",
  "functions.*.queue.length": "Invocations that may wait; further ones are answered 429.",
  "functions.*.queue.timeout": "How long one may wait before it is answered 504.",
  "functions.*.limits": "What callers may send.",
  "functions.*.limits.body": "Body of a request; larger ones are answered 413.",
  "functions.*.build": "How the bundle is built.",
  "functions.*.build.installScripts": "Packages that may run their own scripts when they are installed.",
  "functions.*.triggers": "What causes invocations, beside the function's own URL: at most 100.",
  "functions.*.triggers[].http":
    "`GET /path`, `* /path` or `/path`; `{name}` takes one segment, `{name*}` at the end takes the rest.",
  "functions.*.triggers[].host": "Only requests to this host name.",
  "functions.*.triggers[].timer": "Five cron fields, such as `*/5 * * * *`. Kept, but not fired by this version.",
});
