import type { FunctionConfig } from "../api/resources.ts";
import type { HttpTrigger } from "../plan/plan.ts";
import type { AppFunction } from "./app-config.ts";
import type { Entry, Value } from "./document.ts";
import { environmentBytes, MAXIMUM_ENVIRONMENT_BYTES, MAXIMUM_VARIABLES } from "./environment.ts";
import {
  handlerProblem,
  RUNTIME_FAMILIES,
  type RuntimeFamily,
  runtimeFamily,
  splitHandler,
  splitRuntime,
} from "./handler.ts";
import { MIB } from "./keys.ts";
import type { FieldReader } from "./reader.ts";
import { freezeProblem, NEVER } from "./scaling.ts";
import { closest } from "./suggest.ts";
import { claimKey, parseHttpTrigger, timerProblem } from "./triggers.ts";

export interface FunctionContext {
  /** The app's environment, below the function's. */
  readonly env: Readonly<Record<string, string>>;
  readonly exists: (path: string) => boolean;
  /** Which function has which HTTP claim. Filled. */
  readonly claims: Map<string, string>;
}

type Fields = ReadonlyMap<string, Entry>;
type Policy = FunctionConfig["policy"];
type Execution = FunctionConfig["execution"];
type Trigger = Policy["triggers"][number];

export const MAXIMUM_TRIGGERS = 100;
export const MAXIMUM_INSTALL_SCRIPTS = 1_000;
/** Runtimes that later versions bring. */
const LATER = ["java", "go", "process", "image", "fdk"];
/** Where slots are processes: a sandbox of the default size holds as many. */
const PROCESS_CONCURRENCY = 4;
const EXECUTION_MEANINGS: Readonly<Record<Execution, string>> = {
  loop: "all slots on one event loop",
  threads: "each slot on a thread",
  process: "each slot in a process of its own",
};
/** How others call our runtimes. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  node: "nodejs",
  js: "nodejs",
  javascript: "nodejs",
  ts: "nodejs",
  typescript: "nodejs",
  py: "python",
};
export const PACKAGE_NAME = /^(?:@[a-z0-9~_.-]+\/)?[A-Za-z0-9~_][A-Za-z0-9~_.-]*$/;

/** A function's configuration; where something is wrong it is in the reader's mistakes, and a stand-in is returned. */
export function readFunction(reader: FieldReader, entry: Entry, context: FunctionContext): AppFunction {
  const { key: name, value } = entry;
  const fields = reader.expect(value, "map", "a mapping such as { runtime: nodejs }")
    ? reader.fields(value, "functions.*")
    : undefined;
  const known = fields ?? new Map<string, Entry>();
  const family = fields === undefined ? undefined : readRuntime(reader, entry, fields.get("runtime"));
  const source = readSource(reader, entry, known, context);
  const handler =
    family === undefined ? "" : readHandler(reader, entry, known.get("handler"), { family, source, context });
  const execution = readExecution(reader, known.get("execution"), family);
  const config: FunctionConfig = {
    runtime: textOf(reader, known.get("runtime")),
    handler,
    memoryMiB: readMemory(reader, known.get("memory")),
    timeoutMs: reader.quantity(known.get("timeout"), "functions.*.timeout"),
    initTimeoutMs: reader.quantity(known.get("initTimeout"), "functions.*.initTimeout"),
    concurrency: readConcurrency(reader, known.get("concurrency"), execution),
    execution,
    environment: readEnvironment(reader, known.get("env"), context),
    build: { installScripts: readInstallScripts(reader, known.get("build")) },
    policy: readPolicy(reader, name, known, context),
  };
  return { source, config };
}

function textOf(reader: FieldReader, field: Entry | undefined): string {
  return field === undefined ? "" : reader.peek(field.value);
}

function readRuntime(reader: FieldReader, entry: Entry, field: Entry | undefined): RuntimeFamily | undefined {
  const names = RUNTIME_FAMILIES.map((family) => family.name);
  if (field === undefined) {
    const right = `write runtime: and one of ${names.join(", ")}`;
    reader.mistakeAtKey(entry, `runtime is missing: ${right}`, "runtime");
    return undefined;
  }
  const text = reader.text(field.value, `one of ${names.join(", ")}`);
  if (text === undefined) return undefined;
  const family = runtimeFamily(text);
  if (family === undefined) reader.mistake(field.value, runtimeProblem(text, names));
  return family;
}

function runtimeProblem(text: string, names: readonly string[]): string {
  const shown = JSON.stringify(text.slice(0, 60));
  const { family, version = "" } = splitRuntime(text) ?? { family: text.toLowerCase().replace(/[^a-z].*$/, "") };
  if (LATER.includes(family)) return `${shown} is not part of this version: use one of ${names.join(", ")}`;
  const meant = Object.hasOwn(OTHER_NAMES, family) ? OTHER_NAMES[family] : closest(family, names);
  const hint = meant === undefined ? `use one of ${names.join(", ")}` : `did you mean ${meant}${version}?`;
  return `there is no runtime ${shown}; ${hint}`;
}

function readSource(reader: FieldReader, entry: Entry, fields: Fields, { exists }: FunctionContext): string {
  const field = fields.get("source");
  const text = field === undefined ? entry.key : (reader.text(field.value, "a folder such as ./thumbnail") ?? "");
  if (text === "") return "";
  const source =
    text
      .replace(/\\/g, "/")
      .replace(/\/+/g, "/")
      .replace(/^(?:\.\/)+/, "")
      .replace(/\/\.?$/, "") || ".";
  const place = field?.value ?? { ...entry.value, offset: entry.keyOffset, path: `${entry.value.path}.source` };
  if (source.startsWith("/") || /^[A-Za-z]:/.test(source) || source.includes("\0"))
    reader.mistake(
      place,
      `must be a folder relative to this file, such as ./${entry.key}, not ${JSON.stringify(text)}`,
    );
  else if (!exists(source)) {
    const hint =
      field !== undefined
        ? "correct the path"
        : isBeside(reader, fields, exists)
          ? 'the handler lies right beside this file, so write "source: ."'
          : "make it, or name the function's folder with source:";
    reader.mistake(place, `there is no folder ${JSON.stringify(source)} beside this file: ${hint}`);
  } else return source;
  return "";
}

/** Whether the handler is there already, in the folder of the configuration itself. */
function isBeside(reader: FieldReader, fields: Fields, exists: (path: string) => boolean): boolean {
  const [runtime, handler] = [fields.get("runtime"), fields.get("handler")];
  const family = runtime && runtimeFamily(reader.peek(runtime.value));
  if (family === undefined) return false;
  if (handler === undefined) return family.handlers.some(exists);
  const text = reader.peek(handler.value);
  return handlerProblem(text, family) === undefined && exists(splitHandler(text).file);
}

interface HandlerPlace {
  readonly family: RuntimeFamily;
  /** Empty where it could not be read. */
  readonly source: string;
  readonly context: FunctionContext;
}

function readHandler(reader: FieldReader, entry: Entry, field: Entry | undefined, place: HandlerPlace): string {
  const { family, source, context } = place;
  const within = (file: string) => (source === "." ? file : `${source}/${file}`);
  if (field === undefined) {
    const found = source === "" ? family.handlers[0] : family.handlers.find((file) => context.exists(within(file)));
    const looked = `none of ${family.handlers.join(", ")} is in ${JSON.stringify(source)}`;
    if (found === undefined)
      reader.mistakeAtKey(entry, `handler is missing, and ${looked}: name the file with handler:`, "handler");
    return found ?? "";
  }
  const handler = reader.text(field.value, `a file such as ${family.handlers[0]}`);
  if (handler === undefined) return "";
  const problem = handlerProblem(handler, family);
  if (problem !== undefined) reader.mistake(field.value, `${JSON.stringify(handler.slice(0, 80))} ${problem}`);
  else if (source !== "" && !context.exists(within(splitHandler(handler).file)))
    reader.mistake(
      field.value,
      `there is no file ${JSON.stringify(within(splitHandler(handler).file))} beside this one`,
    );
  return handler;
}

function readMemory(reader: FieldReader, field: Entry | undefined): number {
  const bytes = reader.quantity(field, "functions.*.memory");
  if (field !== undefined && bytes % MIB !== 0) reader.mistake(field.value, "must be a whole number of MiB");
  return Math.ceil(bytes / MIB);
}

function readConcurrency(reader: FieldReader, field: Entry | undefined, execution: Execution): number {
  if (field === undefined && execution === "process") return PROCESS_CONCURRENCY;
  return reader.quantity(field, "functions.*.concurrency");
}

function readExecution(reader: FieldReader, field: Entry | undefined, family: RuntimeFamily | undefined): Execution {
  const standard = family?.executions[0] ?? "loop";
  if (field === undefined) return standard;
  const chosen = reader.choice(field.value, ["loop", "threads", "process"]);
  if (chosen === undefined || family === undefined || family.executions.includes(chosen)) return chosen ?? standard;
  const meanings = family.executions.map((execution) => `${execution} (${EXECUTION_MEANINGS[execution]})`);
  reader.mistake(field.value, `${family.name} does not run its slots as ${chosen}: use ${meanings.join(" or ")}`);
  return standard;
}

function readEnvironment(
  reader: FieldReader,
  field: Entry | undefined,
  { env }: FunctionContext,
): Record<string, string> {
  const merged = { ...env, ...reader.environment(field?.value) };
  const tooMany =
    Object.keys(merged).length > MAXIMUM_VARIABLES || environmentBytes(merged) > MAXIMUM_ENVIRONMENT_BYTES;
  if (field !== undefined && tooMany) {
    const most = `${MAXIMUM_VARIABLES} variables and ${MAXIMUM_ENVIRONMENT_BYTES} bytes`;
    reader.mistake(field.value, `is too large together with the app's env: ${most} are the most`);
  }
  return merged;
}

function readInstallScripts(reader: FieldReader, build: Entry | undefined): string[] {
  const field = reader.optionalFields(build, "functions.*.build").get("installScripts");
  if (field === undefined || !reader.expect(field.value, "list", "a list of packages, such as [sharp]")) return [];
  const items = reader.items(field.value);
  if (items.length > MAXIMUM_INSTALL_SCRIPTS)
    reader.mistake(field.value, `has more than ${MAXIMUM_INSTALL_SCRIPTS} packages`);
  return items.slice(0, MAXIMUM_INSTALL_SCRIPTS).flatMap((item) => {
    const name = reader.text(item, "the name of a package");
    if (name === undefined || PACKAGE_NAME.test(name)) return name ?? [];
    reader.mistake(
      item,
      `${JSON.stringify(name.slice(0, 80))} is no name of a package: write it without version, such as sharp`,
    );
    return [];
  });
}

function readPolicy(reader: FieldReader, name: string, fields: Fields, context: FunctionContext): Policy {
  const scaling = reader.optionalFields(fields.get("scaling"), "functions.*.scaling");
  const queue = reader.optionalFields(fields.get("queue"), "functions.*.queue");
  const limits = reader.optionalFields(fields.get("limits"), "functions.*.limits");
  return {
    scaling: readScaling(reader, scaling),
    queue: {
      length: reader.quantity(queue.get("length"), "functions.*.queue.length"),
      timeoutMs: reader.quantity(queue.get("timeout"), "functions.*.queue.timeout"),
    },
    limits: { bodyBytes: reader.quantity(limits.get("body"), "functions.*.limits.body") },
    triggers: readTriggers(reader, name, fields.get("triggers"), context),
  };
}

function readScaling(reader: FieldReader, fields: Fields): Policy["scaling"] {
  const min = reader.quantity(fields.get("min"), "functions.*.scaling.min");
  const max = reader.quantity(fields.get("max"), "functions.*.scaling.max");
  const keepAliveMs = reader.quantity(fields.get("keepAlive"), "functions.*.scaling.keepAlive");
  const place = fields.get("min") ?? fields.get("max");
  if (place !== undefined && min > max)
    reader.mistake(place.value, `min (${min}) must not be greater than max (${max})`);
  const freezeAfterMs = readFreezeAfter(reader, fields.get("freezeAfter"), { min, keepAliveMs });
  return { min, max, keepAliveMs, ...(freezeAfterMs !== undefined && { freezeAfterMs }) };
}

/** Undefined: never. The default does not count where sandboxes go before. */
function readFreezeAfter(
  reader: FieldReader,
  field: Entry | undefined,
  scaling: { readonly min: number; readonly keepAliveMs: number },
): number | undefined {
  const written = field === undefined ? "" : reader.peek(field.value);
  if (written === NEVER) return undefined;
  const freezeAfterMs = reader.quantity(field, "functions.*.scaling.freezeAfter", NEVER);
  const problem = freezeProblem({ ...scaling, freezeAfterMs });
  if (problem === undefined) return freezeAfterMs;
  if (field !== undefined) reader.mistake(field.value, problem);
  return undefined;
}

function readTriggers(
  reader: FieldReader,
  name: string,
  field: Entry | undefined,
  context: FunctionContext,
): Trigger[] {
  if (field === undefined || !reader.expect(field.value, "list", "a list, such as [{ http: GET /thumb }]")) return [];
  const items = reader.items(field.value);
  if (items.length > MAXIMUM_TRIGGERS) reader.mistake(field.value, `has more than ${MAXIMUM_TRIGGERS} triggers`);
  return items.slice(0, MAXIMUM_TRIGGERS).flatMap((item) => readTrigger(reader, name, item, context) ?? []);
}

function readTrigger(reader: FieldReader, name: string, item: Value, context: FunctionContext): Trigger | undefined {
  const right = 'a mapping such as { http: GET /thumb } or { timer: "*/5 * * * *" }';
  if (!reader.expect(item, "map", right)) return undefined;
  const fields = reader.fields(item, "functions.*.triggers[]");
  const http = fields.get("http");
  const timer = fields.get("timer");
  const host = fields.get("host");
  if ((http === undefined) === (timer === undefined)) {
    reader.mistake(item, `must have either http or timer: write ${right.slice("a mapping such as ".length)}`);
    return undefined;
  }
  if (http !== undefined) return readHttp(reader, name, { http, host }, context);
  if (host !== undefined) reader.mistakeAtKey(host, "belongs to http triggers only: remove it");
  const cron = reader.text(timer!.value, 'five cron fields such as "*/5 * * * *"');
  const problem = cron === undefined ? undefined : timerProblem(cron);
  if (problem !== undefined) reader.mistake(timer!.value, problem);
  return { timer: cron ?? "" };
}

interface HttpFields {
  readonly http: Entry;
  readonly host: Entry | undefined;
}

function readHttp(
  reader: FieldReader,
  name: string,
  fields: HttpFields,
  { claims }: FunctionContext,
): Trigger | undefined {
  const http = reader.text(fields.http.value, "a method and a path, such as GET /thumb/{id}");
  const host = fields.host && reader.text(fields.host.value, "a host name such as shop.example.com");
  if (http === undefined || (fields.host !== undefined && host === undefined)) return undefined;
  const parsed = parseHttpTrigger(http, host);
  if (parsed.kind === "wrong") {
    reader.mistake(fields.http.value, parsed.message);
    return undefined;
  }
  claim(reader, name, { place: fields.http.value, trigger: parsed.trigger }, claims);
  return { http, ...(host === undefined ? {} : { host }) };
}

/** Two functions can't answer the same requests. */
function claim(
  reader: FieldReader,
  name: string,
  { place, trigger }: { place: Value; trigger: HttpTrigger },
  claims: Map<string, string>,
): void {
  const key = claimKey(trigger);
  const owner = claims.get(key);
  claims.set(key, name);
  if (owner === undefined) return;
  const who = owner === name ? "this function" : `function ${owner}`;
  reader.mistake(place, `is claimed twice: ${who} has the same method, host and path already`);
}
