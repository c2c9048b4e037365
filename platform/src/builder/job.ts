import type { BuildRequest } from "#platform/control/deployments/builder.ts";

/** One build under way: its folders and the ways to speak of it. */
export interface Job extends Pick<BuildRequest, "tenant" | "config" | "onStep"> {
  /** The function's files; what is in here at the end becomes the bundle. */
  readonly source: string;
  /** For tools: their HOME and TMPDIR. */
  readonly scratch: string;
  /** Kept between builds of the same tenant. Tenants share nothing: install scripts could leave traps. */
  readonly cache: string;
  readonly signal: AbortSignal;
  readonly run: RunTool;
}

export interface Tool {
  /** How people call it, for messages. */
  readonly name: string;
  /** The program, and arguments that always come first. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What it prints is for the builder alone, not for whoever watches the build. */
  readonly isQuiet?: boolean;
  /** Called with each line in turn: whether it helps nobody who watches the build. Such lines are not shown. */
  readonly isNoise?: ((line: string) => boolean) | undefined;
  /** Never shown, whoever prints them. */
  readonly secrets?: readonly string[];
}

export type ToolOutcome =
  | { readonly kind: "exited"; readonly code: number; readonly lines: readonly string[] }
  | { readonly kind: "missing" };

/** Throws the reason of the job's signal when it aborts. */
export type RunTool = (tool: Tool) => Promise<ToolOutcome>;
