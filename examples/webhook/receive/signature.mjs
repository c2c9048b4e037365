// Whether a body comes from who knows the secret. Each gives undefined where it does, else what is wrong.
import { createHmac, timingSafeEqual } from "node:crypto";

/** `X-Hub-Signature-256: sha256=<hex>`, over the body. https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries */
export function checkGitHub(secret, body, header) {
  if (!header) return "X-Hub-Signature-256 is missing";
  const [, given] = /^sha256=([0-9a-f]{64})$/.exec(header) ?? [];
  if (given === undefined) return "X-Hub-Signature-256 is not of the form sha256=<64 hexadecimal digits>";
  return isSignature(given, secret, body) ? undefined : "the signature is not right";
}

/**
 * `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>…]`, over `<t>.<body>`: a message is good for `toleranceS` seconds and can't be
 * sent again later. https://docs.stripe.com/webhooks#verify-manually
 */
export function checkStripe(secret, body, header, { nowS, toleranceS = 300 }) {
  if (!header) return "Stripe-Signature is missing";
  const parts = header.split(",").map((part) => part.trim().split("="));
  const valuesOf = (wanted) => parts.filter(([name]) => name === wanted).map(([, value]) => value);
  const [time] = valuesOf("t");
  const given = valuesOf("v1").filter((value) => /^[0-9a-f]{64}$/.test(value ?? ""));
  if (!/^\d{1,12}$/.test(time ?? "") || given.length === 0)
    return "Stripe-Signature is not of the form t=<seconds>,v1=<64 hexadecimal digits>";
  const signed = Buffer.concat([Buffer.from(`${time}.`), body]);
  // While a secret is changed for another, there are two signatures.
  if (!given.some((signature) => isSignature(signature, secret, signed))) return "the signature is not right";
  return Math.abs(nowS - Number(time)) > toleranceS ? "the signature is too old, or this clock is wrong" : undefined;
}

/** Takes as long whatever is wrong, so that nobody can guess a signature digit by digit. */
function isSignature(hex, secret, signed) {
  return timingSafeEqual(Buffer.from(hex, "hex"), createHmac("sha256", secret).update(signed).digest());
}
