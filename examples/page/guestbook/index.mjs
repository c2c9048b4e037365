// A page made on the server: a form, what was sent with it, and assets that browsers keep.
import { serveAsset } from "./assets.mjs";
import { renderPage } from "./page.mjs";

const MOST_ENTRIES = 100;
// Scripts are nowhere, not even where escaping should fail.
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'",
  "x-content-type-options": "nosniff",
};

export default createGuestbook();

export function createGuestbook(now = () => new Date()) {
  /** Newest first. */
  let entries = [];

  const page = (base, status, draft) =>
    new Response(renderPage({ base, entries, draft }), { status, headers: HEADERS });

  async function sign(request, base) {
    const site = request.headers.get("sec-fetch-site");
    // A form on someone else's page may not sign in its visitors' names.
    if (site !== null && site !== "same-origin" && site !== "none")
      return new Response("Forms of other sites are not taken.\n", { status: 403 });
    const draft = await readDraft(request);
    if (draft.problem !== undefined) return page(base, 422, draft);
    entries = [{ name: draft.name, message: draft.message, at: now().toISOString() }, ...entries].slice(
      0,
      MOST_ENTRIES,
    );
    // So that reloading the page does not send it again.
    return new Response(null, { status: 303, headers: { location: base.slice(0, -1) } });
  }

  return {
    async fetch(request, context) {
      const base = process.env.BASE ?? `/fn/${context.app}/${context.function}/`;
      const { pathname } = new URL(request.url);
      const reads = request.method === "GET" || request.method === "HEAD";
      const asset = reads ? serveAsset(pathname, request.headers) : undefined;
      if (asset !== undefined) return asset;
      if (pathname !== "/") return new Response("There is no such page.\n", { status: 404 });
      if (reads) return page(base, 200);
      if (request.method === "POST") return sign(request, base);
      return new Response("This takes GET, HEAD, POST.\n", { status: 405, headers: { allow: "GET, HEAD, POST" } });
    },
  };
}

async function readDraft(request) {
  const type = request.headers.get("content-type") ?? "";
  if (!type.startsWith("application/x-www-form-urlencoded")) return { problem: "Send the form of this page." };
  const given = new URLSearchParams(await request.text());
  const [name, message] = ["name", "message"].map((field) => (given.get(field) ?? "").trim());
  return { name, message, problem: problemOf(name, message) };
}

function problemOf(name, message) {
  if (name === "") return "Say who you are.";
  if (message === "") return "Say something.";
  if (name.length > 80) return "A name has at most 80 characters.";
  return message.length > 2000 ? "At most 2000 characters." : undefined;
}
