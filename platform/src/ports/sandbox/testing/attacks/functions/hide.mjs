import { writeFileSync } from "node:fs";

/** A neighbour with something to lose: in files, in its environment, in its memory. */
export default function hide({ secret }) {
  globalThis.secret = secret;
  process.env.SECRET = secret;
  for (const folder of ["/tmp", "/dev/shm", "/run/colibri"]) writeFileSync(`${folder}/secret`, secret, { mode: 0o666 });
  return { pid: process.pid };
}
