/** What an archive may hold. Sizes are those after decompression. */
export interface ArchiveLimits {
  /** Files, links and folders, folders that are only implied by a path included. */
  readonly maximumEntries: number;
  readonly maximumBytes: number;
  readonly maximumFileBytes: number;
  /** Bytes of one name between two slashes. */
  readonly maximumNameBytes: number;
  readonly maximumPathBytes: number;
  /** Names in one path. */
  readonly maximumDepth: number;
  /** Bytes out for each byte in, judged once `ratioFreeBytes` have come out. */
  readonly maximumRatio: number;
  readonly ratioFreeBytes: number;
}

const MIB = 1024 * 1024;

export const ARCHIVE_LIMITS: ArchiveLimits = Object.freeze({
  maximumEntries: 50_000,
  maximumBytes: 512 * MIB,
  maximumFileBytes: 256 * MIB,
  maximumNameBytes: 255,
  // Linux allows 4096 for a whole path: a quarter is left for the folder that the archive is unpacked in.
  maximumPathBytes: 3072,
  maximumDepth: 64,
  maximumRatio: 200,
  ratioFreeBytes: MIB,
});
