/** Writes docs/errors.md from the catalogue: `node bin/colibri node tools/write-errors-page.ts`. */
import { writeFileSync } from "node:fs";
import { renderErrors } from "#contract/errors-page.ts";

writeFileSync(new URL("../docs/errors.md", import.meta.url), renderErrors());
