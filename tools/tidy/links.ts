// Relative links in documents lead to a file, a folder or a heading that is there.
import { posix } from "node:path";
import { type File, type Finding, finding, isFixture } from "./source.ts";

const LINK = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)="([^"]+)"/gm;
const ELSEWHERE = /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i;

export function checkLinks(files: File[]): Finding[] {
  const documents = new Map(files.filter((file) => file.path.endsWith(".md")).map((file) => [file.path, file]));
  const paths = new Set(files.flatMap((file) => [file.path, ...foldersOf(file.path)]));
  return [...documents.values()]
    .filter((file) => !isFixture(file.path))
    .flatMap((file) =>
      [...withoutCode(file.text).matchAll(LINK)].flatMap((match) => {
        const link = match[1] ?? match[2] ?? match[3] ?? "";
        const message = ELSEWHERE.test(link) ? undefined : broken(file, link, paths, documents);
        return message ? [finding(file, match.index, message)] : [];
      }),
    );
}

function broken(file: File, link: string, paths: Set<string>, documents: Map<string, File>): string | undefined {
  const [path = "", heading] = decodeURI(link).split("#");
  const target = path === "" ? file.path : posix.join(posix.dirname(file.path), path).replace(/\/$/, "");
  if (target !== "." && !paths.has(target)) return `link to ${link}: there is no ${target}`;
  const document = documents.get(target);
  if (heading && document && !anchorsOf(document.text).has(heading))
    return `link to ${link}: ${target} has no such heading`;
  return undefined;
}

/** Headings as GitHub turns them into anchors; a repeated one gets a number. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of withoutFences(text).matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    let anchor = slug;
    for (let copy = 1; anchors.has(anchor); copy++) anchor = `${slug}-${copy}`;
    anchors.add(anchor);
  }
  for (const [, name = ""] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(name);
  return anchors;
}

function withoutFences(text: string): string {
  return text.replace(/^(\s*)(```+|~~~+)[\s\S]*?^\s*\2/gm, blank);
}

function withoutCode(text: string): string {
  return withoutFences(text).replace(/`[^`\n]*`/g, blank);
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

function foldersOf(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}
