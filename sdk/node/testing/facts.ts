import { randomBytes } from "node:crypto";
import type { GuestInvoke } from "#contract/guest/link.ts";
import type { ContextOptions, TestRequest } from "./types.ts";

const TIMEOUT_MS = 30_000;
const ID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

type Given = NonNullable<GuestInvoke["request"]>;

/** What the platform would tell the guest of the invocation. */
export function factsOf(options: ContextOptions, contentType: string | undefined): GuestInvoke {
  const { request = {} } = options;
  return {
    id: options.invocation ?? makeId(),
    tenant: options.tenant ?? "default",
    app: options.app ?? "test",
    function: options.function ?? "function",
    revision: options.revision ?? "r1",
    budgetMs: options.timeoutMs ?? TIMEOUT_MS,
    trace: options.trace,
    ...(request === false ? { contentType } : { request: requestOf(request, contentType) }),
  };
}

export function makeId(): string {
  return Array.from(randomBytes(26), (byte, index) => (index === 0 ? "0" : ID_LETTERS[byte % 32])).join("");
}

function requestOf(given: TestRequest, contentType: string | undefined): Given {
  const headers: Record<string, string> = {
    host: "localhost",
    ...(contentType !== undefined && { "content-type": contentType }),
  };
  for (const [name, value] of Object.entries(given.headers ?? {})) headers[name.toLowerCase()] = value;
  return {
    method: given.method ?? "POST",
    path: given.path ?? "/",
    query: given.query ?? "",
    headers: Object.entries(headers).flat(),
    params: given.params,
  };
}
