import { dependenciesFailed } from "../failure.ts";
import { type LockedManifest, packageManagerOf } from "./lock-file.ts";

/** A package manager that is fetched from the registry when a lock file needs it, and is what `integrity` says or is not used. */
export interface PinnedTool {
  readonly manager: "pnpm" | "yarn";
  /** How to configure it: Yarn 1 and its successors have little in common. */
  readonly kind: "pnpm" | "classic" | "berry";
  readonly packageName: string;
  readonly version: string;
  readonly integrity: string;
  /** Inside of its package. */
  readonly program: string;
  /** Its own variables, beside those that all of its kind know. */
  readonly variables?: Readonly<Record<string, string>>;
}

const BERRY = { manager: "yarn", kind: "berry", packageName: "@yarnpkg/cli-dist", program: "bin/yarn.js" } as const;
const PNPM = { manager: "pnpm", kind: "pnpm", packageName: "pnpm", program: "bin/pnpm.cjs" } as const;

interface Row {
  /** Of lock files. */
  readonly format: RegExp;
  /** Of the programs that write such lock files. */
  readonly majors: readonly number[];
  readonly tool: PinnedTool;
}

/** By the format of the lock file: an older tool can't read it, and a newer one would rewrite it. */
export const PINNED_TOOLS: Readonly<Record<"pnpm" | "yarn", readonly Row[]>> = Object.freeze({
  pnpm: [
    {
      format: /^6\.\d+$/,
      majors: [8],
      tool: {
        ...PNPM,
        version: "8.15.9",
        integrity: "sha512-SZQ0ydj90aJ5Tr9FUrOyXApjOrzuW7Fee13pDzL0e1E6ypjNXP0AHDHw20VLw4BO3M1XhQHkyik6aBYWa72fgQ==",
      },
    },
    {
      format: /^9\.\d+$/,
      majors: [9, 10, 11, 12],
      tool: {
        ...PNPM,
        version: "10.34.9",
        integrity: "sha512-9JtajqD97bRLs8DB1ldQkqU8KVDZW3rRXfEfF5dId6LeOgHAfpNOmyjOcW5RwJqUlixzBtCb4uHksYqMh2L9Mg==",
      },
    },
  ],
  yarn: [
    {
      format: /^v1$/,
      majors: [1],
      tool: {
        ...{ manager: "yarn", kind: "classic", packageName: "yarn", program: "bin/yarn.js" },
        version: "1.22.22",
        integrity: "sha512-prL3kGtyG7o9Z9Sv8IPfBNrWTDmXB4Qbes8A9rEzt6wkJV8mUvoirjU0Mp3GGAU06Y0XQyA3/2/RQFVuK7MTfg==",
      },
    },
    {
      format: /^6$/,
      majors: [3],
      tool: {
        ...BERRY,
        version: "3.8.7",
        integrity: "sha512-YMoAlLR9f+kxXjK72ggBIidi3ulQQrQpMSxzrLUt0OUk9Xdst2v26LBSYFlzOm+7KRNWgYIJpFjA8uRnCgB5xQ==",
      },
    },
    {
      format: /^8$/,
      majors: [4],
      tool: {
        ...BERRY,
        version: "4.9.2",
        integrity: "sha512-qrMyWzvEnWhaWOflvE1pGxWGiVOPsO/q4XfGCeRPnLU8ECkvhrhJEfCNakcy3s3VHcApBASQ4fmL0sOEw6xtZQ==",
      },
    },
    {
      format: /^10$/,
      majors: [4],
      tool: {
        ...BERRY,
        version: "4.18.1",
        // The lock file decides, however new its packages are.
        variables: { YARN_NPM_MINIMAL_AGE_GATE: "0" },
        integrity: "sha512-EH+A4TxAtBWXKE0DGQxW9Bo9crXHLJ73mfxjTQJuv8XonNWWTpei8BQ5JjczHJNU9GROTycwMFn8iOvRIZXUcA==",
      },
    },
  ],
});

/** The tool that installs this lock file. */
export function chooseTool(manifest: LockedManifest & { manager: "pnpm" | "yarn" }): PinnedTool {
  const { manager, fileName, text, packageJson } = manifest;
  const rows = PINNED_TOOLS[manager];
  const format = manager === "pnpm" ? pnpmFormat(text) : yarnFormat(text);
  const row = rows.find((candidate) => format !== undefined && candidate.format.test(format));
  const majors = [...new Set(rows.flatMap((candidate) => candidate.majors))].join(", ");
  if (row === undefined)
    throw dependenciesFailed(
      `${fileName} has ${format === undefined ? "no format that is known" : `the format ${format}`}: run "${manager} install" with ${manager} ${majors} and deploy it again.`,
    );
  const major = packageManagerOf(packageJson)?.major;
  if (major !== undefined && !row.majors.includes(major))
    throw dependenciesFailed(
      `package.json names ${manager} ${major} in packageManager, but ${fileName} was written by ${manager} ${row.majors.join(", ")} (format ${format}): run "${manager} install" with the version you mean, one of ${majors}, and deploy it again.`,
    );
  return row.tool;
}

function pnpmFormat(text: string): string | undefined {
  return /^lockfileVersion: ['"]?([\d.]+)['"]?\s*$/m.exec(text)?.[1];
}

function yarnFormat(text: string): string | undefined {
  if (/^# yarn lockfile v1\s*$/m.test(text)) return "v1";
  return /^__metadata:\s*\n(?: {2}.*\n)*? {2}version: ['"]?(\d+)/m.exec(text)?.[1];
}
