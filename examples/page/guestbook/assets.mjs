// Files of assets/, under names that change with their content: browsers may keep them for ever.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname } from "node:path";

const TYPES = { ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8" };
const FOLDER = new URL("./assets/", import.meta.url);

const assets = readdirSync(FOLDER).map((name) => {
  const bytes = readFileSync(new URL(name, FOLDER));
  const digest = createHash("sha256").update(bytes).digest("base64url").slice(0, 12);
  return { name, bytes, digest, type: TYPES[extname(name)] ?? "application/octet-stream" };
});

/** The path under which a page links to an asset. */
export function assetPath(name) {
  return `assets/${assets.find((asset) => asset.name === name).digest}/${name}`;
}

/** Undefined where there is no such asset. */
export function serveAsset(path, headers) {
  const [, digest, name] = /^\/assets\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  const asset = assets.find((candidate) => candidate.name === name && candidate.digest === digest);
  if (asset === undefined) return undefined;
  const etag = `"${asset.digest}"`;
  const caching = { "cache-control": "public, max-age=31536000, immutable", etag };
  if (headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers: caching });
  return new Response(asset.bytes, { headers: { ...caching, "content-type": asset.type } });
}
