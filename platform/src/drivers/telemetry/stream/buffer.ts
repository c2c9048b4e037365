import { assertNever } from "#base/assert.ts";
import { BoundedQueue } from "#base/bounded-queue.ts";
import { BATCH_BYTES, BATCH_ITEMS, type LogsItem, type ReportItem } from "#contract/report/report.ts";

/** A batch is this large unless one item alone is larger. */
export const BATCH_TARGET_BYTES = 256 * 1024;

export interface ReportBufferOptions {
  readonly maximumBytes: number;
  readonly maximumItems: number;
}

interface Sized {
  readonly item: ReportItem;
  /** As JSON, not less than it is. */
  readonly bytes: number;
}

/**
 * What waits to be sent, within bounds. Room is made by dropping the oldest logs first, then the oldest records: a log never
 * displaces a record. Of meters only the newest wait.
 */
export class ReportBuffer {
  readonly #options: ReportBufferOptions;
  readonly #logs: BoundedQueue<Sized>;
  readonly #records: BoundedQueue<Sized>;
  #meters: Sized | undefined;
  #bytes = 0;
  #dropped = 0;

  constructor(options: ReportBufferOptions) {
    this.#options = options;
    this.#logs = new BoundedQueue(options.maximumItems);
    this.#records = new BoundedQueue(options.maximumItems);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#logs.length + this.#records.length + (this.#meters === undefined ? 0 : 1);
  }

  /** Items dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  add(item: ReportItem): void {
    const bytes = sizeOf(item);
    if (bytes > BATCH_BYTES) {
      this.#addTooLarge(item);
      return;
    }
    if (item.kind === "meters") this.#takeMeters();
    const sized = { item, bytes };
    if (this.#makeRoom(sized)) this.#put(sized);
    else this.#dropped++;
  }

  /** The next batch; empty when nothing waits. */
  take(): ReportItem[] {
    const items: ReportItem[] = [];
    let bytes = 0;
    const meters = this.#takeMeters();
    if (meters !== undefined) {
      items.push(meters.item);
      bytes += meters.bytes;
    }
    for (const queue of [this.#records, this.#logs]) {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        if (items.length === BATCH_ITEMS || (items.length > 0 && bytes + next.bytes > BATCH_TARGET_BYTES)) return items;
        items.push(next.item);
        bytes += next.bytes;
        this.#shift(queue);
      }
    }
    return items;
  }

  #put(sized: Sized): void {
    this.#bytes += sized.bytes;
    if (sized.item.kind === "meters") this.#meters = sized;
    else (sized.item.kind === "logs" ? this.#logs : this.#records).push(sized);
  }

  #makeRoom(sized: Sized): boolean {
    const { maximumBytes, maximumItems } = this.#options;
    while (this.#bytes + sized.bytes > maximumBytes || this.length >= maximumItems) {
      const queue = this.#logs.length > 0 || sized.item.kind === "logs" ? this.#logs : this.#records;
      if (!this.#shift(queue)) return false;
      this.#dropped++;
    }
    return true;
  }

  #shift(queue: BoundedQueue<Sized>): boolean {
    const sized = queue.shift();
    this.#bytes -= sized?.bytes ?? 0;
    return sized !== undefined;
  }

  #takeMeters(): Sized | undefined {
    const meters = this.#meters;
    this.#meters = undefined;
    this.#bytes -= meters?.bytes ?? 0;
    return meters;
  }

  #addTooLarge(item: ReportItem): void {
    if (item.kind !== "logs" || item.log.entries.length < 2) {
      this.#dropped++;
      return;
    }
    for (const half of halves(item)) this.add(half);
  }
}

/** Text that is JSON or lines at most doubles when it is quoted again; log text may be anything, so it is measured. */
function sizeOf(item: ReportItem): number {
  switch (item.kind) {
    case "records":
      return sizeOfText(item, item.rows);
    case "meters":
      return sizeOfText(item, item.text);
    case "logs":
      return measure(item);
    default:
      return assertNever(item, "report item");
  }
}

function sizeOfText(item: ReportItem, text: string): number {
  const bound = 512 + 2 * Buffer.byteLength(text);
  return bound > BATCH_BYTES ? measure(item) : bound;
}

function measure(item: ReportItem): number {
  return Buffer.byteLength(JSON.stringify(item));
}

function halves(item: LogsItem): [LogsItem, LogsItem] {
  const { entries, dropped } = item.log;
  const middle = entries.length >> 1;
  return [
    { ...item, log: { entries: entries.slice(0, middle), ...(dropped === undefined ? {} : { dropped }) } },
    { ...item, log: { entries: entries.slice(middle) } },
  ];
}
