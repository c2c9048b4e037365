import type { ErrorCode } from "#contract/errors.ts";
import type { GuestLog } from "#contract/guest/link.ts";

/** What happens while a folder is run, for whoever shows it. */
export type DevEvent =
  /** Something the user should know: what is installed, what is left out. */
  | { readonly kind: "note"; readonly function: string | undefined; readonly text: string }
  | { readonly kind: "warning"; readonly function: string | undefined; readonly text: string }
  /** A new revision answers from now on, `tookMs` after the change was noticed. */
  | { readonly kind: "ready"; readonly function: string; readonly revision: string; readonly tookMs: number }
  | { readonly kind: "removed"; readonly function: string }
  /** It can't be built, loaded or initialised: callers are told the same until the next save. `stack`: lines that say where, or "". */
  | {
      readonly kind: "broken";
      readonly function: string;
      readonly code: string;
      readonly message: string;
      readonly stack: string;
    }
  /** The configuration has mistakes, shown with their lines; the functions stay as they were. */
  | { readonly kind: "config-broken"; readonly text: string }
  | { readonly kind: "config-mended" }
  | {
      readonly kind: "log";
      readonly function: string;
      readonly entry: GuestLog["entries"][number];
      readonly from: "guest" | "platform";
    }
  | { readonly kind: "logs-dropped"; readonly function: string; readonly count: number }
  | ({ readonly kind: "request" } & DevRequest);

/** One request that was answered, or a timer that was fired by hand. */
export interface DevRequest {
  readonly method: string;
  readonly target: string;
  /** Undefined where the caller left before there was one. */
  readonly status: number | undefined;
  readonly tookMs: number;
  /** Of a cold start that it waited for, 0 without. */
  readonly coldMs: number;
  readonly invocation: string | undefined;
  readonly error: { readonly code: ErrorCode | string; readonly message: string } | undefined;
}

export type Tell = (event: DevEvent) => void;
