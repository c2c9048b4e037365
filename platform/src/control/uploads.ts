import type { Readable } from "node:stream";
import type { Clock } from "#base/clock.ts";
import { fileBytes } from "#base/file-bytes.ts";
import type { Log } from "#base/log.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { Store } from "#ports/store/index.ts";
import { Intake } from "./intake.ts";
import { type Piece, type Standing, UnfinishedUploads } from "./unfinished-uploads.ts";

/** Unreferenced blobs younger than this may still be meant for a deployment to come. */
const KEPT_MS = 24 * 3_600_000;
const SWEEP_EVERY_MS = 3_600_000;
const MIB = 1024 * 1024;
/** Of unfinished ones: as many may lie about for a tenant, and of the largest size so many. */
const UNFINISHED = { number: 64, largest: 4 };
/** As much as this many tenants may have is the most for all together. */
const UNFINISHED_TENANTS = 4;

export interface UploadsDeps {
  readonly blobs: Blobs;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
}

export interface UploadsOptions {
  readonly maximumBytes: number;
  /** Where unfinished ones are kept. */
  readonly folder: string;
}

/**
 * Source archives on their way in, and the removal of blobs that nothing needs any more, bundles among them.
 *
 * Owns when each blob was last asked for, and the sweep. The bytes are the blobs port's, those of uploads under way of
 * unfinished-uploads.ts, references the store's.
 * Invariants:
 * 1. What somebody was told is there is not removed within a day.
 * 2. What revisions and running deployments refer to is not removed.
 */
export class Uploads {
  readonly #deps: UploadsDeps;
  readonly #options: UploadsOptions;
  readonly #unfinished: UnfinishedUploads;
  /** tenant → digest → when it was last asked for. Bounded by the sweep, which forgets what is older than KEPT_MS. */
  readonly #touched = new Map<string, Map<Digest, number>>();
  readonly #removing = new Map<string, Promise<boolean>>();
  #closed = false;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(deps: UploadsDeps, options: UploadsOptions) {
    this.#deps = deps;
    this.#options = options;
    const tenant = { number: UNFINISHED.number, bytes: UNFINISHED.largest * options.maximumBytes };
    const all = { number: UNFINISHED_TENANTS * tenant.number, bytes: UNFINISHED_TENANTS * tenant.bytes };
    this.#unfinished = new UnfinishedUploads(deps, { folder: options.folder, tenant, all });
  }

  open(): void {
    this.#deps.clock.after(SWEEP_EVERY_MS, () => {
      if (this.#closed) return;
      this.#sweeping = this.sweep().catch((error) => this.#deps.log.warn("sweeping blobs failed", { error }));
      this.open();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#sweeping;
  }

  async has(tenant: string, digest: Digest): Promise<boolean> {
    await this.touch(tenant, digest);
    return this.#deps.blobs.has(tenant, digest);
  }

  /** Says that somebody counts on this blob from now on. */
  async touch(tenant: string, digest: Digest): Promise<void> {
    const times = this.#touched.get(tenant) ?? new Map<Digest, number>();
    times.set(digest, this.#deps.clock.now());
    this.#touched.set(tenant, times);
    await this.#removing.get(`${tenant} ${digest}`);
  }

  /** The whole of it. False: it was there already. @throws PlatformError as `put`, `request-timeout` when it does not get on. */
  receive(tenant: string, digest: Digest, source: Readable): Promise<boolean> {
    return this.put(tenant, digest, new Intake(this.#deps, source));
  }

  /** False: it was there already. @throws PlatformError `digest-mismatch` or `archive-too-large`. */
  async put(tenant: string, digest: Digest, source: AsyncIterable<Uint8Array>): Promise<boolean> {
    await this.touch(tenant, digest);
    const { maximumBytes } = this.#options;
    const outcome = await this.#deps.blobs.put(tenant, digest, source, { maximumBytes });
    if (outcome.kind === "too-large") throw this.#tooLarge();
    if (outcome.kind === "digest-mismatch") {
      const message = `The bytes that arrived have the digest ${outcome.actual}, not ${digest}: upload again.`;
      throw new PlatformError("digest-mismatch", message, { details: { actual: outcome.actual } });
    }
    return outcome.kind === "stored";
  }

  /** Where an upload that was cut off is to go on; undefined where nothing of it is there. */
  unfinished(tenant: string, digest: Digest): Promise<Standing | undefined> {
    return this.#unfinished.standing(tenant, digest);
  }

  /** Takes the next piece of an upload. Answers where it then stands, or that the whole is stored. @throws PlatformError */
  async append(tenant: string, digest: Digest, piece: Piece): Promise<{ readonly offset: number } | "stored"> {
    if (piece.totalBytes > this.#options.maximumBytes) throw this.#tooLarge();
    if (await this.has(tenant, digest)) return "stored";
    const store = (path: string): Promise<boolean> => this.put(tenant, digest, fileBytes(path));
    const offset = await this.#unfinished.append(tenant, digest, piece, store);
    return offset === piece.totalBytes ? "stored" : { offset };
  }

  #tooLarge(): PlatformError {
    const { maximumBytes } = this.#options;
    const message = `The upload is larger than ${Math.floor(maximumBytes / MIB)} MiB: exclude files with \`.colibriignore\`.`;
    return new PlatformError("archive-too-large", message, { details: { maximumBytes } });
  }

  /** Removes what nothing refers to and nobody asked for within a day. */
  async sweep(): Promise<void> {
    const tenants = new Set([DEFAULT_TENANT, ...this.#touched.keys(), ...(await this.#deps.store.tenants())]);
    for (const tenant of tenants) await this.#sweepTenant(tenant);
    await this.#unfinished.sweep(this.#deps.clock.now() - KEPT_MS);
  }

  async #sweepTenant(tenant: string): Promise<void> {
    const { blobs, store, clock, log } = this.#deps;
    const until = clock.now() - KEPT_MS;
    for (const [digest, atMs] of this.#touched.get(tenant) ?? [])
      if (atMs < until) this.#touched.get(tenant)?.delete(digest);
    const old: Digest[] = [];
    for await (const { digest, storedAtMs } of blobs.list(tenant)) if (storedAtMs < until) old.push(digest);
    if (old.length === 0) return;
    const referenced = new Set(await store.referencedDigests(tenant));
    for (const digest of old) {
      if (this.#closed || referenced.has(digest) || this.#touched.get(tenant)?.has(digest)) continue;
      await this.#remove(tenant, digest);
      log.info("unreferenced blob removed", { tenant, digest });
    }
  }

  async #remove(tenant: string, digest: Digest): Promise<void> {
    const key = `${tenant} ${digest}`;
    const removing = this.#deps.blobs.delete(tenant, digest);
    this.#removing.set(key, removing);
    try {
      await removing;
    } finally {
      this.#removing.delete(key);
    }
  }
}
