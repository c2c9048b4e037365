// Takes webhooks at /github and /stripe, and only those that are signed.
import { checkGitHub, checkStripe } from "./signature.mjs";

const PLACEHOLDER = "change-me";
/** Deliveries that are remembered, to take none twice. */
const REMEMBERED = 1000;

export function init() {
  for (const name of ["GITHUB_SECRET", "STRIPE_SECRET"]) {
    if (!process.env[name])
      throw new Error(`The environment variable ${name} is not set: give it in colibri.yaml, under env.`);
    if (process.env[name] === PLACEHOLDER)
      console.warn(`${name} is still "${PLACEHOLDER}": anyone can sign with that.`);
  }
}

export default createReceiver({ secrets: process.env, nowS: () => Date.now() / 1000, handle });

/** What to do with a message. Senders give up after some seconds: what takes longer belongs into a queue. */
function handle({ from, id, kind, message }) {
  console.log(`${from} ${id}: ${kind}`, message);
}

export function createReceiver({ secrets, nowS, handle }) {
  const seen = new Set();

  return {
    async fetch(request) {
      const sender = SENDERS[new URL(request.url).pathname];
      if (sender === undefined) return answer(404, { error: "Webhooks are taken at /github and /stripe." });
      if (request.method !== "POST") return answer(405, { error: "This takes POST." }, { allow: "POST" });
      // The bytes as they came: what is parsed and written again is no longer what was signed.
      const body = Buffer.from(await request.arrayBuffer());
      const problem = sender.check(secrets, body, request.headers, nowS());
      if (problem !== undefined) return answer(401, { error: `Refused: ${problem}.` });
      const message = parse(body);
      if (message === undefined)
        return answer(400, { error: "The body is not JSON: choose application/json as its type." });
      return take({ from: sender.name, message, ...sender.describe(message, request.headers) });
    },
  };

  async function take(delivery) {
    const key = `${delivery.from} ${delivery.id}`;
    if (seen.has(key)) return answer(200, { duplicate: delivery.id });
    seen.add(key);
    if (seen.size > REMEMBERED) seen.delete(seen.values().next().value);
    try {
      await handle(delivery);
    } catch (error) {
      seen.delete(key); // so that the sender may try again
      throw error;
    }
    return answer(200, { taken: delivery.id });
  }
}

const SENDERS = {
  "/github": {
    name: "github",
    check: (secrets, body, headers) => checkGitHub(secrets.GITHUB_SECRET, body, headers.get("x-hub-signature-256")),
    describe: (_message, headers) => ({ id: headers.get("x-github-delivery"), kind: headers.get("x-github-event") }),
  },
  "/stripe": {
    name: "stripe",
    check: (secrets, body, headers, nowS) =>
      checkStripe(secrets.STRIPE_SECRET, body, headers.get("stripe-signature"), { nowS }),
    describe: (message) => ({ id: message?.id, kind: message?.type }),
  },
};

function parse(body) {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

function answer(status, body, headers = {}) {
  return Response.json(body, { status, headers });
}
