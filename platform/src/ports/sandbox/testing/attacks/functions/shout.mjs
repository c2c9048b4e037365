import { writeSync } from "node:fs";

/** Writes to the guest's own output as fast as somebody reads. */
export default async function shout({ forMs }) {
  const text = Buffer.from(`${"\u001b[31mflood ".repeat(8_000)}\n`);
  const untilMs = Date.now() + forMs;
  let bytes = 0;
  while (Date.now() < untilMs) {
    try {
      bytes += writeSync(1, text);
      bytes += writeSync(2, text);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  return { bytes };
}
