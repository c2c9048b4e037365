import { Agent, request } from "node:http";

export interface Called {
  /** From the request to the end of the answer. */
  readonly wallMs: number;
  /** As told in Server-Timing; 0 for a call that found a sandbox. */
  readonly coldMs: number;
  readonly runMs: number;
}

/** Connections stay open: what they cost is not the platform's cold start. */
const agent = new Agent({ keepAlive: true });

/** @throws when the answer is not 200. */
export function call(url: string): Promise<Called> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(url, { agent }, (answer) => {
      answer.resume().once("error", reject);
      answer.once("end", () => {
        const wallMs = performance.now() - begun;
        const { statusCode, headers } = answer;
        if (statusCode !== 200)
          return reject(new Error(`${url} answered ${statusCode} ${headers["colibri-error-message"] ?? ""}`));
        const timing = String(headers["server-timing"]);
        resolve({ wallMs, coldMs: durationOf("cold", timing), runMs: durationOf("run", timing) });
      });
    });
    sent.once("error", reject).end();
  });
}

function durationOf(name: string, timing: string): number {
  return Number(new RegExp(`${name};dur=([\\d.]+)`).exec(timing)?.[1] ?? 0);
}
