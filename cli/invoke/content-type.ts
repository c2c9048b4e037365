import { isUtf8 } from "node:buffer";
import { extname } from "node:path";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
export const BYTES_TYPE = "application/octet-stream";

const BY_EXTENSION: Readonly<Record<string, string>> = {
  ".avif": "image/avif",
  ".css": "text/css; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".gif": "image/gif",
  ".gz": "application/gzip",
  ".htm": "text/html; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": JSON_TYPE,
  ".jsonl": "application/x-ndjson",
  ".md": "text/markdown; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".mp3": "audio/mpeg",
  ".mp4": "video/mp4",
  ".ndjson": "application/x-ndjson",
  ".parquet": "application/vnd.apache.parquet",
  ".pdf": "application/pdf",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".tar": "application/x-tar",
  ".tif": "image/tiff",
  ".tiff": "image/tiff",
  ".tsv": "text/tab-separated-values; charset=utf-8",
  ".txt": TEXT_TYPE,
  ".wasm": "application/wasm",
  ".wav": "audio/wav",
  ".webm": "video/webm",
  ".webp": "image/webp",
  ".xml": "application/xml",
  ".yaml": "application/yaml",
  ".yml": "application/yaml",
  ".zip": "application/zip",
};

export function typeOfFile(path: string): string {
  return BY_EXTENSION[extname(path).toLowerCase()] ?? BYTES_TYPE;
}

export function typeOfText(text: string): string {
  try {
    JSON.parse(text);
    return JSON_TYPE;
  } catch {
    return TEXT_TYPE;
  }
}

/** Why a text that begins as an object or a list of JSON does is none. */
export function jsonMistake(text: string): string | undefined {
  if (!/^\s*[{[]/.test(text)) return undefined;
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Of a whole body. */
export function typeOfBytes(bytes: Uint8Array): string {
  return isUtf8(bytes) ? typeOfText(new TextDecoder().decode(bytes)) : BYTES_TYPE;
}

const TEXTUAL =
  /^(?:text\/|application\/(?:(?:[\w.-]+\+)?(?:json|xml|yaml)|x-ndjson|javascript|x-www-form-urlencoded)\b)/i;

/** Whether a terminal can show it. */
export function isTextual(contentType: string | undefined): boolean {
  return contentType !== undefined && (TEXTUAL.test(contentType) || /\+(?:json|xml)\b/i.test(contentType));
}
