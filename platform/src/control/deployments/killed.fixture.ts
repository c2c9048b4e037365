/**
 * Control as a process of its own, to be killed. `hang`: deploys a function whose build never ends, and says so. `finish <id>`:
 * starts on what was left, waits for the deployment's end and tells what came of it.
 */

import { writeSync } from "node:fs";
import { join } from "node:path";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createSqliteStore } from "#drivers/store/sqlite/driver.ts";
import { CopyingBuilder, startControl } from "../control.fixture.ts";

const [, , folder = "", mode, id = ""] = process.argv;
const say = (text: string) => writeSync(1, `${text}\n`);
const medium = {
  folder,
  uploads: join(folder, "uploads"),
  store: () => createSqliteStore({ onLost: () => process.exit(1) }, { path: join(folder, "control.db"), id: "test" }),
  blobs: () => createFilesystemBlobs({ root: join(folder, "blobs") }),
  remove: async () => {},
};

if (mode === "hang") await hang();
else await finish();

async function hang(): Promise<void> {
  const building = Promise.withResolvers<void>();
  const running = await startControl(medium, {
    builder: (blobs) => {
      const builder = new CopyingBuilder(blobs);
      builder.before = () => {
        building.resolve();
        return new Promise(() => {});
      };
      return builder;
    },
  });
  const source = await running.client.upload("code");
  const body = { app: "shop", functions: { hello: { config: CONFIG, source } } };
  const created = await running.client.ask("createDeployment", { body });
  await building.promise;
  say(`building ${created.body.id}`);
}

async function finish(): Promise<void> {
  const running = await startControl(medium);
  const done = await running.client.ended(id);
  const events = await running.store.events("default", id, 0, 100);
  const ends = events.filter((event) => event.kind === "end").length;
  const revisions = (await running.store.revisions("default", "shop", "hello", { limit: 9 })).length;
  const { change, revision } = done.functions[0]!;
  say(JSON.stringify({ state: done.state, change, revision, ends, revisions }));
  await running.control.close();
}
