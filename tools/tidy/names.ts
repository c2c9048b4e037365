// Names that say nothing about what is inside, and so attract everything.
import { type File, type Finding, isFixture } from "./source.ts";

const SAYS_NOTHING = /^(?:utils?|helpers?|common|managers?|impl|misc)$/i;

export function checkNames(files: File[]): Finding[] {
  return files
    .filter(({ path }) => !isFixture(path))
    .flatMap(({ path }) => {
      const word = path.split(/[/._-]/).find((part) => SAYS_NOTHING.test(part));
      if (word) return [{ path, line: 1, message: `"${word}" says nothing: name it after the one thing it holds` }];
      if (path.split("/").at(-1) !== "fixture.ts") return [];
      return [{ path, line: 1, message: "a fixture says nothing of what it makes: call it <what>.fixture.ts" }];
    });
}
