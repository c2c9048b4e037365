import { type Entry, type Value, YamlDocument } from "#contract/config/document.ts";
import type { Mistake } from "#contract/config/mistakes.ts";
import { closest } from "#contract/config/suggest.ts";
import { parseDuration } from "#contract/config/units.ts";
import { ERRORS } from "#contract/errors.ts";
import type { Beside } from "./beside.ts";
import type { Case, CaseBody, CaseRequest, Expectation } from "./case.ts";
import { NO_REQUEST } from "./case.ts";

export interface CaseFileOptions {
  /** Those there are, where they are known. */
  readonly functions: readonly string[] | undefined;
  /** What a path in the file leads to. */
  readonly find: (path: string) => Beside;
}

export type ParsedCases =
  | { readonly kind: "cases"; readonly cases: readonly Case[] }
  | { readonly kind: "mistakes"; readonly mistakes: readonly Mistake[] };

export const CASE_FILE = "colibri.test.yaml";

const TOP = ["functions"];
export const CASE_KEYS = ["name", "skip", "request", "expect"];
/** A wrong one would have both sides wait for each other. */
const FRAMING = ["content-length", "transfer-encoding", "connection"];
export const REQUEST_KEYS = ["method", "path", "url", "query", "headers", "json", "text", "file"];
export const EXPECT_KEYS = [
  "status",
  "error",
  "headers",
  "json",
  "contains",
  "text",
  "matches",
  "file",
  "sha256",
  "maxMs",
];
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Of a value that is JSON: deeper ones are somebody's trap. */
const MAXIMUM_DEPTH = 64;

/** All mistakes at once, in the order of the text. */
export function parseCaseFile(text: string, options: CaseFileOptions): ParsedCases {
  const document = new YamlDocument(text);
  const cases = document.isBroken ? [] : new CaseReader(document, options).read();
  return document.isBroken ? { kind: "mistakes", mistakes: document.mistakes() } : { kind: "cases", cases };
}

type Fields = ReadonlyMap<string, Entry>;

class CaseReader {
  readonly #document: YamlDocument;
  readonly #options: CaseFileOptions;

  constructor(document: YamlDocument, options: CaseFileOptions) {
    this.#document = document;
    this.#options = options;
  }

  read(): Case[] {
    const { root } = this.#document;
    const functions = this.#fields(root, TOP, "a mapping with the key functions").get("functions");
    if (functions === undefined) {
      this.#mistake(
        root,
        "functions is missing: write functions: and below it each function's name with its cases",
        "functions",
      );
      return [];
    }
    if (!this.#expect(functions.value, "map", "a mapping from each function's name to its cases")) return [];
    return this.#document.entries(functions.value).flatMap((entry) => this.#functionCases(entry));
  }

  #functionCases(entry: Entry): Case[] {
    const known = this.#options.functions;
    if (known !== undefined && !known.includes(entry.key)) {
      const meant = closest(entry.key, known);
      const hint = meant === undefined ? `there is ${known.join(", ")}` : `did you mean ${meant}?`;
      this.#document.mistake(entry.keyOffset, entry.value.path, `is no function of colibri.yaml; ${hint}`);
    }
    if (!this.#expect(entry.value, "list", "a list of cases, such as - { name: …, expect: … }")) return [];
    const names = new Set<string>();
    return this.#document.items(entry.value).map((item) => this.#case(entry.key, item, names));
  }

  #case(fn: string, value: Value, names: Set<string>): Case {
    const fields = this.#fields(value, CASE_KEYS, "a case with a name and what to expect");
    const name = this.#textOf(fields.get("name"), "a name that says what is tested") ?? "";
    if (!fields.has("name")) this.#mistake(value, "name is missing: say in it what is tested", `${value.path}.name`);
    else if (names.has(name))
      this.#mistake(fields.get("name")!.value, `there is a case ${JSON.stringify(name)} of ${fn} already`);
    names.add(name);
    const expect = fields.get("expect");
    if (expect === undefined)
      this.#mistake(value, "expect is missing: write at least expect: { status: 200 }", `${value.path}.expect`);
    return {
      ...{ function: fn, name, line: this.#document.lineOf(value) },
      skip: this.#textOf(fields.get("skip"), "the reason why it is not run"),
      request: this.#request(fields.get("request")),
      expect: this.#expectation(expect),
    };
  }

  #request(field: Entry | undefined): CaseRequest {
    if (field === undefined) return NO_REQUEST;
    const fields = this.#fields(field.value, REQUEST_KEYS, "a mapping such as { method: POST, json: { name: Ada } }");
    const path = this.#textOf(fields.get("path"), "what follows the function's address, such as /items?page=2") ?? "";
    if (path !== "" && !/^[/?]/.test(path))
      this.#mistake(fields.get("path")!.value, `must begin with / or ?, not ${JSON.stringify(path)}`);
    const url = this.#textOf(fields.get("url"), "a path that a trigger claims, such as /thumb/7");
    if (url !== undefined && !url.startsWith("/")) this.#mistake(fields.get("url")!.value, "must begin with /");
    if (url !== undefined && path !== "")
      this.#mistake(fields.get("url")!.value, "stands instead of path: remove one of the two");
    const query = this.#texts(fields.get("query"));
    return {
      method: this.#method(fields.get("method")),
      path: url === undefined ? withQuery(path, query) : "",
      url: url === undefined ? undefined : withQuery(url, query),
      headers: this.#headers(fields.get("headers")),
      body: this.#body(fields),
    };
  }

  #headers(field: Entry | undefined): Record<string, string> {
    const headers = lowerCased(this.#texts(field));
    const framing = Object.keys(headers).find((name) => FRAMING.includes(name));
    if (framing !== undefined) this.#mistake(field!.value, `${framing} is set by the body: leave it out`);
    return headers;
  }

  #method(field: Entry | undefined): string | undefined {
    const method = this.#textOf(field, "a method such as POST");
    if (method !== undefined && !TOKEN.test(method))
      this.#mistake(field!.value, `${JSON.stringify(method)} is no HTTP method`);
    return method?.toUpperCase();
  }

  #body(fields: Fields): CaseBody {
    const given = ["json", "text", "file"].filter((key) => fields.has(key));
    if (given.length > 1)
      this.#mistake(fields.get(given[1]!)!.value, `a request has one body: remove ${given[0]} or ${given[1]}`);
    const [json, text] = [fields.get("json"), fields.get("text")];
    if (json !== undefined) return { kind: "json", value: this.#json(json.value) };
    if (text !== undefined) return { kind: "text", text: this.#anyText(text.value) };
    const file = this.#file(fields.get("file"));
    return file === undefined ? { kind: "none" } : { kind: "file", path: file };
  }

  #expectation(field: Entry | undefined): Expectation {
    const right = "a mapping such as { status: 200, json: { hello: Ada } }";
    const fields: Fields = field === undefined ? new Map() : this.#fields(field.value, EXPECT_KEYS, right);
    const [json, contains, text] = [fields.get("json"), fields.get("contains"), fields.get("text")];
    return {
      status: this.#status(fields.get("status")),
      error: this.#errorCode(fields.get("error")),
      headers: this.#expectedHeaders(fields.get("headers")),
      json: json && { value: this.#json(json.value) },
      contains: contains && { value: this.#json(contains.value) },
      text: text && this.#anyText(text.value),
      matches: this.#pattern(fields.get("matches")),
      file: this.#file(fields.get("file")),
      sha256: this.#digest(fields.get("sha256")),
      maxMs: this.#milliseconds(fields.get("maxMs")),
    };
  }

  #status(field: Entry | undefined): number | undefined {
    if (field === undefined) return undefined;
    const written = this.#document.written(field.value);
    if (written.kind === "number" && /^[1-5]\d\d$/.test(written.text)) return Number(written.text);
    this.#mistake(field.value, "must be a status from 100 to 599, such as 200");
    return undefined;
  }

  #errorCode(field: Entry | undefined): string | undefined {
    const code = this.#textOf(field, "a code of docs/errors.md, such as function-error");
    if (code === undefined || Object.hasOwn(ERRORS, code)) return code;
    const meant = closest(code, Object.keys(ERRORS));
    this.#mistake(
      field!.value,
      `there is no error ${JSON.stringify(code)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    );
    return undefined;
  }

  #pattern(field: Entry | undefined): RegExp | undefined {
    const text = this.#textOf(field, "a regular expression");
    return text === undefined ? undefined : this.#regularExpression(field!.value, text, "su");
  }

  #regularExpression(value: Value, text: string, flags: string): RegExp | undefined {
    try {
      return new RegExp(text, flags);
    } catch (error) {
      this.#mistake(value, `is no regular expression: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Texts, or patterns in slashes. */
  #expectedHeaders(field: Entry | undefined): Record<string, string | RegExp> {
    if (field === undefined || !this.#expect(field.value, "map", "a mapping from names to texts")) return {};
    const expected = this.#document.entries(field.value).map(({ key, value }) => {
      const text = this.#anyText(value);
      const pattern = /^\/(.+)\/$/s.exec(text)?.[1];
      const wanted = pattern === undefined ? undefined : this.#regularExpression(value, pattern, "u");
      return [key.toLowerCase(), wanted ?? text];
    });
    return Object.fromEntries(expected);
  }

  #digest(field: Entry | undefined): string | undefined {
    const digest = this.#textOf(field, "64 hexadecimal digits");
    if (digest === undefined || /^[0-9a-f]{64}$/.test(digest)) return digest;
    this.#mistake(field!.value, "must be 64 lower-case hexadecimal digits, as sha256sum prints them");
    return undefined;
  }

  #milliseconds(field: Entry | undefined): number | undefined {
    if (field === undefined) return undefined;
    const written = this.#document.written(field.value);
    if (written.kind === "number" && Number(written.text) > 0) return Number(written.text);
    const parsed = written.kind === "text" ? parseDuration(written.text) : undefined;
    if (parsed?.kind === "quantity") return parsed.value;
    this.#mistake(field.value, parsed?.message ?? "must be a number of milliseconds, or a duration such as 1s");
    return undefined;
  }

  #file(field: Entry | undefined): string | undefined {
    const path = this.#textOf(field, "a file beside this one, such as ./photo.jpg");
    const found = path === undefined ? "file" : this.#options.find(path);
    if (found === "file") return path;
    const problem =
      found === "absent"
        ? `there is no file ${JSON.stringify(path)} beside this one`
        : `${JSON.stringify(path)} leads out of the folder of this file: name a file in it, such as ./photo.jpg`;
    this.#mistake(field!.value, problem);
    return undefined;
  }

  /** Names with texts; numbers and booleans as they are spelled. */
  #texts(field: Entry | undefined): Record<string, string> {
    if (field === undefined || !this.#expect(field.value, "map", "a mapping from names to texts")) return {};
    return Object.fromEntries(this.#document.entries(field.value).map(({ key, value }) => [key, this.#anyText(value)]));
  }

  #anyText(value: Value): string {
    const written = this.#document.written(value);
    if ("text" in written) return written.text;
    this.#mistake(
      value,
      `must be text, not ${written.kind === "nothing" ? 'nothing: write "" for an empty one' : `a ${written.kind}`}`,
    );
    return "";
  }

  #textOf(field: Entry | undefined, right: string): string | undefined {
    if (field === undefined) return undefined;
    const written = this.#document.written(field.value);
    if ("text" in written && written.text !== "") return written.text;
    this.#mistake(field.value, `must be ${right}`);
    return undefined;
  }

  #json(value: Value, depth = 0): unknown {
    if (depth > MAXIMUM_DEPTH) {
      this.#mistake(value, "is nested too deeply");
      return null;
    }
    const written = this.#document.written(value);
    switch (written.kind) {
      case "map":
        return Object.fromEntries(
          this.#document.entries(value).map((entry) => [entry.key, this.#json(entry.value, depth + 1)]),
        );
      case "list":
        return this.#document.items(value).map((item) => this.#json(item, depth + 1));
      case "nothing":
        return null;
      case "text":
        return written.text;
      case "boolean":
        return written.text.toLowerCase() === "true";
      case "number": {
        const number = Number(written.text);
        if (!Number.isFinite(number)) this.#mistake(value, `${written.text} is no number of JSON`);
        return number;
      }
    }
  }

  /** The known keys of a mapping; unknown ones are mistakes. */
  #fields(value: Value, known: readonly string[], right: string): Fields {
    if (!this.#expect(value, "map", right)) return new Map();
    const entries = this.#document.entries(value);
    for (const { key, keyOffset, value: below } of entries) {
      if (known.includes(key)) continue;
      const meant = closest(key, known);
      const hint = meant === undefined ? `known here: ${known.join(", ")}` : `did you mean ${meant}?`;
      this.#document.mistake(keyOffset, below.path, `is no key of this file; ${hint}`);
    }
    return new Map(entries.map((entry) => [entry.key, entry]));
  }

  #expect(value: Value, kind: "map" | "list", right: string): boolean {
    const written = this.#document.written(value);
    if (written.kind === kind) return true;
    this.#mistake(value, `must be ${right}`);
    return false;
  }

  #mistake(value: Value, message: string, path = value.path): void {
    this.#document.mistake(value.offset, path, message);
  }
}

function withQuery(path: string, query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString();
  if (text === "") return path;
  return `${path}${path.includes("?") ? "&" : "?"}${text}`;
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
