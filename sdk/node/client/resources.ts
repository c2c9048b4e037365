// Made by tools/write-api-client.ts: change contract/api or contract/errors.ts, and run that.

export type Health = {
  readonly version: string;
  readonly status: "ok" | "degraded";
  readonly sandbox: {
    readonly technology: string;
    readonly isolation: string;
    readonly detail: string;
  };
  readonly roles: readonly {
    readonly role: string;
    readonly instance: string;
    readonly pid: number;
    readonly state: "up" | "away";
    /** RFC 3339, UTC, milliseconds. */
    readonly since: string;
  }[];
  readonly dropped: Readonly<Record<string, number>>;
  /** Places on disk that can't be written now. Empty when all can. */
  readonly storage: readonly {
    /** Such as `function logs`. */
    readonly what: string;
    readonly path: string;
    readonly problem: string;
    /** What to do. */
    readonly remedy: string;
    /** RFC 3339, UTC, milliseconds. */
    readonly since: string;
  }[];
};

/** RFC 9457 problem details. */
export type Problem = {
  /** docs/errors.md#<code> */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** From the catalogue of errors. */
  readonly code: string;
  /** What was wrong, where, and what would be right. */
  readonly detail: string;
  readonly errors?: readonly {
    readonly path: string;
    readonly message: string;
  }[];
  readonly requestId?: string;
};

export type Runtime = {
  readonly name: string;
  readonly version?: string;
  readonly available: boolean;
  readonly detail: string;
};

export type NetworkPolicy =
  | {
      readonly kind: "none";
    }
  | {
      readonly kind: "internet";
    }
  | {
      readonly kind: "allow";
      readonly hosts: readonly string[];
    };

export type FunctionConfig = {
  /** Such as nodejs, nodejs24 or python. */
  readonly runtime: string;
  /** `file` or `file#export`. */
  readonly handler: string;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  readonly initTimeoutMs: number;
  readonly concurrency: number;
  readonly execution: "loop" | "threads" | "process";
  readonly environment: Readonly<Record<string, string>>;
  readonly build: {
    /** Packages whose install scripts may run. */
    readonly installScripts: readonly string[];
  };
  readonly policy: {
    readonly scaling: {
      readonly min: number;
      readonly max: number;
      readonly keepAliveMs: number;
      readonly freezeAfterMs?: number;
    };
    readonly queue: {
      readonly length: number;
      readonly timeoutMs: number;
    };
    readonly limits: {
      readonly bodyBytes: number;
    };
    readonly triggers: readonly (
      | {
          /** `METHOD /path`, `* /path` or `/path`; `{name}` takes one segment, `{name*}` the rest. */
          readonly http: string;
          readonly host?: string;
        }
      | {
          /** Five cron fields. Kept, not fired by this version. */
          readonly timer: string;
        }
    )[];
  };
};

export type DeploymentRequest = {
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly app: string;
  /** Remove the app's functions that are not named here. */
  readonly prune?: boolean;
  readonly network?: NetworkPolicy;
  readonly functions: Readonly<
    Record<
      string,
      {
        readonly config: FunctionConfig;
        /** `sha256:` and 64 hexadecimal digits. */
        readonly source: string;
      }
    >
  >;
};

export type Deployment = {
  readonly id: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly tenant: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly app: string;
  readonly state: "queued" | "building" | "releasing" | "done" | "failed";
  /** RFC 3339, UTC, milliseconds. */
  readonly createdAt: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly finishedAt?: string;
  readonly functions: readonly {
    /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
    readonly function: string;
    readonly state: "queued" | "building" | "releasing" | "done" | "failed";
    readonly change?: "created" | "updated" | "configured" | "policy" | "unchanged" | "removed";
    readonly revision?: string;
    readonly bundle?: {
      /** `sha256:` and 64 hexadecimal digits. */
      readonly digest: string;
      readonly bytes: number;
    };
    /** Path on the functions' address. */
    readonly url?: string;
    /** Variables whose values are not those of colibri.yaml but set by `config`, which alone shows them. */
    readonly overridden?: readonly string[];
    readonly error?: {
      readonly code: string;
      readonly message: string;
    };
  }[];
  readonly warnings: readonly string[];
};

export type DeploymentPreview = {
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly tenant: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly app: string;
  readonly functions: readonly {
    /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
    readonly function: string;
    readonly change: "created" | "updated" | "configured" | "policy" | "unchanged" | "removed";
    /** The one that is live now. */
    readonly revision?: string;
  }[];
  readonly warnings: readonly string[];
};

export type DeploymentEvent = {
  readonly number: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  readonly kind: "state" | "step" | "output" | "end";
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly function?: string;
  readonly text: string;
};

export type App = {
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly tenant: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly app: string;
  readonly network: NetworkPolicy;
  readonly functions: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly createdAt: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly updatedAt: string;
};

export type Config = {
  /** For all functions of the app. */
  readonly app: Readonly<Record<string, string>>;
  /** For one function; counts before what the app has. */
  readonly functions: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

export type ConfigChange = {
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly function?: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly unset?: readonly string[];
};

export type FunctionResource = {
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly tenant: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly app: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly function: string;
  readonly url: string;
  readonly live: readonly {
    readonly revision: string;
    readonly weight: number;
  }[];
  /** `sha256:` and 64 hexadecimal digits. */
  readonly source: string;
  readonly config: FunctionConfig;
  /** Variables whose values are not those of colibri.yaml but set by `config`, which alone shows them. */
  readonly overridden: readonly string[];
  /** RFC 3339, UTC, milliseconds. */
  readonly createdAt: string;
  /** RFC 3339, UTC, milliseconds. */
  readonly updatedAt: string;
};

export type Revision = {
  readonly revision: string;
  readonly bundle: {
    /** `sha256:` and 64 hexadecimal digits. */
    readonly digest: string;
    readonly bytes: number;
  };
  /** `sha256:` and 64 hexadecimal digits. */
  readonly source: string;
  readonly runtime: string;
  readonly handler: string;
  readonly memoryMiB: number;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly execution: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Variables whose values are not those of colibri.yaml but set by `config`, which alone shows them. */
  readonly overridden: readonly string[];
  /** RFC 3339, UTC, milliseconds. */
  readonly createdAt: string;
};

export type LogLine = {
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly function: string;
  readonly revision: string;
  readonly sandbox: string;
  readonly invocation?: string;
  readonly stream: "stdout" | "stderr" | "platform";
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
};

export type Invocation = {
  readonly id: string;
  /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
  readonly function: string;
  readonly revision: string;
  /** `ok` or an error code. */
  readonly outcome: string;
  readonly status: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly startedAt: string;
  readonly waitMs: number;
  readonly coldMs: number;
  readonly runMs: number;
  readonly bodyBytes: number;
  readonly answerBytes: number;
  readonly sandbox: string;
  readonly trigger: string;
};
