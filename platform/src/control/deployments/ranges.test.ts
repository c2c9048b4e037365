import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { type FunctionConfig, FunctionConfigSchema } from "#contract/api/resources.ts";
import { type Medium, makeMedium, startControl, type TestControl } from "../control.fixture.ts";

type Tree = { readonly [key: string]: unknown };
interface Range {
  readonly path: readonly string[];
  readonly minimum: number;
  readonly maximum: number;
}

let medium: Medium;
let running: TestControl;
before(async () => {
  medium = await makeMedium("memory");
  running = await startControl(medium);
});
after(async () => {
  await running.control.close();
  await medium.remove();
});

function numbersOf(tree: Tree, path: readonly string[] = []): (readonly string[])[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (typeof value === "number") return [[...path, key]];
    return typeof value === "object" && value !== null ? numbersOf(value as Tree, [...path, key]) : [];
  });
}

const at = (tree: unknown, path: readonly string[]) => path.reduce((below, key) => (below as Tree)[key], tree);

function withNumber(config: FunctionConfig, path: readonly string[], value: number): FunctionConfig {
  const changed = structuredClone(config);
  Object.assign(at(changed, path.slice(0, -1)) as object, { [path.at(-1)!]: value });
  return changed;
}

const RANGES = numbersOf(CONFIG).map((path): Range => {
  const schema = at(
    FunctionConfigSchema,
    path.flatMap((key) => ["properties", key]),
  ) as { minimum: number; maximum: number };
  return { path, minimum: schema.minimum, maximum: schema.maximum };
});

async function requestOf(config: FunctionConfig) {
  return { app: "edges", functions: { fn: { config, source: await running.client.upload("code") } } };
}

test("there are numbers, each with a range", () => {
  assert.equal(RANGES.length, 11);
  for (const { path, minimum, maximum } of RANGES)
    assert.ok(Number.isSafeInteger(minimum) && Number.isSafeInteger(maximum), path.join("."));
});

for (const { path, minimum, maximum } of RANGES) {
  test(`${path.join(".")} beyond its range is refused, by its name`, async () => {
    for (const value of [minimum - 1, maximum + 1, 2 ** 53, 1e300, minimum + 0.5]) {
      const body = await requestOf(withNumber(CONFIG, path, value));
      const answer = await running.client.ask("createDeployment", { body });
      assert.equal(answer.status, 400, `${value}: ${JSON.stringify(answer.body)}`);
      assert.ok(JSON.stringify(answer.body).includes(path.join(".")), JSON.stringify(answer.body));
    }
  });
}

for (const edge of ["minimum", "maximum"] as const) {
  test(`with every number at its ${edge} it is deployed`, async () => {
    // Nothing is frozen after a longer time than it is kept, of which the least is none.
    const ranges = RANGES.filter(({ path }) => edge === "maximum" || path.at(-1) !== "freezeAfterMs");
    const { freezeAfterMs: _, ...scaling } = CONFIG.policy.scaling;
    const from = edge === "maximum" ? CONFIG : { ...CONFIG, policy: { ...CONFIG.policy, scaling } };
    const config = ranges.reduce((config, range) => withNumber(config, range.path, range[edge]), from);
    const { state, functions } = await running.client.deploy(await requestOf(config));
    assert.equal(state, "done", JSON.stringify(functions));
  });
}
