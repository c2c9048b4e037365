/** Writes contract/config/colibri.schema.json from the table of keys: `node bin/colibri node tools/write-config-schema.ts`. */
import { writeFileSync } from "node:fs";
import { renderConfigSchema } from "#contract/config/schema.ts";

writeFileSync(new URL("../contract/config/colibri.schema.json", import.meta.url), renderConfigSchema());
