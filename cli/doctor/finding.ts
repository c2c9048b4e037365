/** `fail`: the platform can't do its work. `warn`: a part of it can't. `info`: worth knowing, nothing to do. */
export type Verdict = "ok" | "warn" | "fail" | "info";

export interface Finding {
  readonly check: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What to do, where something can be done. */
  readonly remedy?: string;
}

export function ok(check: string, detail: string): Finding {
  return { check, verdict: "ok", detail };
}

export function info(check: string, detail: string, remedy?: string): Finding {
  return { check, verdict: "info", detail, ...(remedy !== undefined && { remedy }) };
}

export function warn(check: string, detail: string, remedy: string): Finding {
  return { check, verdict: "warn", detail, remedy };
}

export function fail(check: string, detail: string, remedy: string): Finding {
  return { check, verdict: "fail", detail, remedy };
}
