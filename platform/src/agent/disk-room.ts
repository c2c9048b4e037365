import { statfs } from "node:fs/promises";
import { Semaphore } from "#base/semaphore.ts";
import { PlatformError } from "#contract/errors.ts";

/** What of a file system stays free, whichever is smaller. */
export interface FreeFloor {
  readonly bytes: number;
  /** Of its size, 0 to 1. */
  readonly share: number;
}

export interface Reservation {
  /** From then on the file system counts them itself. */
  wrote(bytes: number): void;
  /** Works twice. */
  release(): void;
}

export interface DiskRoomDeps {
  /** Removes what can be spared first, and resolves when it is gone: false when there is nothing to spare. */
  readonly makeRoom: () => Promise<boolean>;
}

/**
 * Keeps a part of a file system free.
 *
 * Owns: how much is promised to what is being written. Does not own: what lies there. Invariant: what is promised fits beside
 * the floor, by what the file system said when it was promised.
 */
export class DiskRoom {
  readonly #deps: DiskRoomDeps;
  readonly #folder: string;
  readonly #floor: FreeFloor;
  /** One looks at a time: two would see the same bytes free. */
  readonly #looking = new Semaphore(1);
  #promised = 0;

  constructor(deps: DiskRoomDeps, options: { readonly folder: string; readonly floor: FreeFloor }) {
    this.#deps = deps;
    this.#folder = options.folder;
    this.#floor = options.floor;
  }

  /** @throws PlatformError `no-capacity` when all that can be spared is not enough. */
  async reserve(bytes: number, what: string): Promise<Reservation> {
    await this.#looking.acquire();
    try {
      for (;;) {
        const { free, floor } = await this.#look();
        if (free - this.#promised - bytes >= floor) return this.#promise(bytes);
        if (!(await this.#deps.makeRoom())) throw this.#refusal(bytes, what, free - this.#promised, floor);
      }
    } finally {
      this.#looking.release();
    }
  }

  async #look(): Promise<{ free: number; floor: number }> {
    const { blocks, bavail, bsize } = await statfs(this.#folder);
    // Some file systems don't say.
    if (blocks === 0) return { free: Number.POSITIVE_INFINITY, floor: 0 };
    return { free: bavail * bsize, floor: Math.min(this.#floor.bytes, this.#floor.share * blocks * bsize) };
  }

  #promise(bytes: number): Reservation {
    let left = bytes;
    this.#promised += left;
    const give = (some: number) => {
      const given = Math.min(some, left);
      left -= given;
      this.#promised -= given;
    };
    return { wrote: give, release: () => give(left) };
  }

  #refusal(bytes: number, what: string, free: number, floor: number): PlatformError {
    const room = `${this.#folder} has ${mebibytes(free)} free, where ${mebibytes(floor)} must stay free`;
    return new PlatformError(
      "no-capacity",
      `no room for ${what}: it needs ${mebibytes(bytes)} and ${room}: make room there`,
    );
  }
}

function mebibytes(bytes: number): string {
  return `${(Math.max(0, bytes) / 2 ** 20).toFixed(1)} MiB`;
}
