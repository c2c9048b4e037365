import { chmod, lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const READ = 0o444;
const READ_AND_RUN = 0o555;

/**
 * Sandboxes of other users read the same files, and nobody writes them: whatever their modes were, files are readable to all,
 * and can be run by all if they could by anybody; what set-uid bits there were are gone. Links have no modes of their own.
 * @throws where there is anything else than files, folders and links.
 */
export async function makeReadOnly(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeReadOnly(path);
    else if (entry.isFile()) await chmod(path, ((await lstat(path)).mode & 0o111) === 0 ? READ : READ_AND_RUN);
    else if (!entry.isSymbolicLink()) throw new Error(`${path} is no file, folder or link`);
  }
  await chmod(folder, READ_AND_RUN);
}

/** Read-only folders refuse to be emptied. */
export async function removeTree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) await makeWritable(path);
  await rm(path, { recursive: true, force: true });
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
}
