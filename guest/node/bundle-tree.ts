export class TarError extends Error {}

/**
 * The paths of a bundle as its archive has told them so far: decides what may be written, before it is.
 *
 * Owns: which paths are files or links. Invariants: 1. a path is relative, has no `..`, and no file or link is told twice; 2. no
 * entry lies below a link, so that a path leads where it says; 3. a symbolic link leads to something inside, also through others
 * (see `inside`); a hard link leads to an earlier file.
 */
export class BundleTree {
  readonly #kinds = new Map<string, "file" | "link">();

  /** The path that the name means, without `.` and empty names. @throws TarError, as all of these. */
  folder(name: string): string {
    const path = relative(name);
    if (this.#kinds.has(path)) throw new TarError(`"${path}" in the bundle is a folder, and something else before`);
    this.#keepFromLinks(path);
    return path;
  }

  file(name: string): string {
    return this.#add(name, "file");
  }

  link(name: string, target: string): { path: string; target: string } {
    const path = this.#add(name, "link");
    return { path, target: inside(path, target) };
  }

  hardLink(name: string, target: string): { path: string; target: string } {
    const to = relative(target);
    if (this.#kinds.get(to) !== "file")
      throw new TarError(`"${name}" in the bundle is a hard link to "${target}", which is no file before it`);
    return { path: this.#add(name, "file"), target: to };
  }

  #add(name: string, kind: "file" | "link"): string {
    const path = relative(name);
    if (path === "" || this.#kinds.has(path)) throw new TarError(`"${name}" is in the bundle twice`);
    this.#keepFromLinks(path);
    this.#kinds.set(path, kind);
    return path;
  }

  #keepFromLinks(path: string): void {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      const kind = this.#kinds.get(path.slice(0, slash));
      if (kind !== undefined) throw new TarError(`"${path}" in the bundle lies below a ${kind}`);
    }
  }
}

function relative(path: string): string {
  const names = namesIn(path);
  if (path.startsWith("/") || /[\\\0]/.test(path) || names.includes(".."))
    throw new TarError(`"${path}" in the bundle leads out of its folder`);
  return names.join("/");
}

/**
 * `..` may only stand first: there it goes up from a real folder, since nothing lies below a link, so counting is enough. After
 * a name it would go up from wherever a link of that name leads, and two harmless links could make one that leads outside.
 */
function inside(path: string, target: string): string {
  const names = namesIn(target);
  const ups = names.lastIndexOf("..") + 1;
  const outside =
    target === "" ||
    target.startsWith("/") ||
    /[\\\0]/.test(target) ||
    names.slice(0, ups).some((name) => name !== "..") ||
    ups >= path.split("/").length;
  if (outside) throw new TarError(`"${path}" in the bundle is a link to "${target}", which may lead out of its folder`);
  return names.join("/") || ".";
}

function namesIn(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}
