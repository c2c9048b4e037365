import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { maySettle, type PlacementClass, type PlacementRules, parsePlacement, type Resident } from "./sharing.ts";

const of = (name: string): Resident => {
  const [tenant = "", app = ""] = name.split("/");
  return { tenant, app };
};
function outcome(rules: PlacementRules, newcomer: string, ...residents: string[]): string {
  const settled = maySettle(rules, of(newcomer), residents.map(of));
  return settled.kind === "welcome" ? "welcome" : settled.reason;
}

test("whoever is not named shares with everybody", () => {
  assert.equal(outcome({}, "acme/shop", "beta/web", "acme/cart"), "welcome");
  assert.equal(outcome({}, "constructor/shop", "toString/web"), "welcome");
});

test("a tenant's own host takes its apps only, whoever comes first", () => {
  const rules = { acme: "tenant" } as const;
  assert.equal(outcome(rules, "acme/shop"), "welcome");
  assert.equal(outcome(rules, "acme/shop", "acme/cart"), "welcome");
  const why = "tenant acme shares no host with others (class tenant)";
  assert.equal(outcome(rules, "acme/shop", "acme/cart", "beta/web"), `${why}, and beta/web runs here`);
  assert.equal(outcome(rules, "beta/web", "acme/shop"), `${why}, and acme/shop runs here`);
  assert.equal(outcome(rules, "beta/web", "gamma/web"), "welcome");
});

test("an app's own host takes no other app, not even of its tenant; an app's rule goes before its tenant's", () => {
  const rules = { acme: "tenant", "acme/cart": "app", "acme/site": "shared" } as const;
  const why = "app acme/cart shares no host with others (class app)";
  assert.equal(outcome(rules, "acme/cart", "acme/cart"), "welcome");
  assert.equal(outcome(rules, "acme/cart", "acme/shop"), `${why}, and acme/shop runs here`);
  assert.equal(outcome(rules, "acme/site", "acme/cart"), `${why}, and acme/cart runs here`);
  assert.equal(outcome(rules, "acme/site", "beta/web"), "welcome");
  assert.equal(
    outcome({ acme: "app" }, "acme/a", "acme/b"),
    "app acme/a shares no host with others (class app), and acme/b runs here",
  );
  assert.equal(outcome({ "acme/cart": "app" }, "beta/cart", "acme/cart"), `${why}, and acme/cart runs here`);
});

test("who settled one by one bears everybody else, in any order", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  const random = createSeededRandom(seed);
  const names = ["a/x", "a/y", "b/x", "b/y", "c/x"];
  const classes: PlacementClass[] = ["shared", "tenant", "app"];
  for (let round = 0; round < 500; round++) {
    const keys = ["a", "b", "c", ...names].filter(() => random.below(2) === 0);
    const rules = Object.fromEntries(keys.map((key) => [key, classes[random.below(3)]!]));
    const settled: string[] = [];
    for (let step = 0; step < 8; step++) {
      const name = names[random.below(names.length)]!;
      if (outcome(rules, name, ...settled) === "welcome") settled.push(name);
    }
    for (const name of settled) {
      const shown = JSON.stringify({ seed, rules, settled });
      assert.equal(outcome(rules, name, ...settled.toReversed()), "welcome", shown);
      const own = rules[name] ?? rules[name.split("/")[0]!];
      if (own === "tenant")
        assert.ok(
          settled.every((other) => other[0] === name[0]),
          shown,
        );
      if (own === "app") assert.deepEqual(new Set(settled), new Set([name]), shown);
    }
  }
});

test("rules are read from one text; what is wrong is named", () => {
  assert.deepEqual(parsePlacement("acme=tenant, acme/cart = app,beta=shared"), {
    kind: "rules",
    rules: { acme: "tenant", "acme/cart": "app", beta: "shared" },
  });
  for (const [text, message] of [
    ["acme", /^"acme": the class must be one of shared, tenant, app$/],
    ["acme=host", /^"acme=host": the class must be one of/],
    ["acme=tenant,", /^"": expected a tenant or tenant\/app, =, and a class, such as acme=tenant,acme\/cart=app/],
    ["Acme=app", /^"Acme=app": expected .*lower-case/],
    ["a/b/c=app", /^"a\/b\/c=app": expected/],
    ["a=app=app", /^"a=app=app": expected/],
    ["a=app,a=tenant", /^"a=tenant": a is named twice$/],
  ] as const) {
    const parsed = parsePlacement(text);
    assert.equal(parsed.kind, "wrong", text);
    assert.match((parsed as { message: string }).message, message);
  }
});
