import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpTrigger, RoutePlan } from "#contract/plan/plan.ts";
import { Routes } from "./routes.ts";

function plan(name: string, triggers: HttpTrigger[] = [], tenant = "default"): RoutePlan {
  return {
    tenant,
    app: "shop",
    function: name,
    live: [{ revision: "r1", weight: 100 }],
    revisions: { r1: { runtime: "nodejs", memoryMiB: 128, concurrency: 1, timeoutMs: 1_000 } },
    policy: {
      scaling: { min: 0, max: 1, keepAliveMs: 1 },
      queue: { length: 1, timeoutMs: 1 },
      limits: { bodyBytes: 1 },
      access: { kind: "open" },
      triggers,
    },
  };
}

function routes(...plans: RoutePlan[]): Routes {
  const table = new Routes();
  for (const each of plans) table.set(each);
  return table;
}

test("function URLs: exact, with a path behind, of another tenant", () => {
  const table = routes(plan("cart"), plan("cart", [], "acme"));
  const found = table.find("GET", "x", "/fn/shop/cart");
  assert.ok(found.kind === "found");
  assert.deepEqual([found.key, found.path], ["default/shop/cart", "/"]);
  const deep = table.find("GET", "x", "/fn/shop/cart/items/1");
  assert.ok(deep.kind === "found");
  assert.equal(deep.path, "/items/1");
  const other = table.find("GET", "x", "/fn/@acme/shop/cart");
  assert.ok(other.kind === "found");
  assert.equal(other.key, "acme/shop/cart");
});

test("nothing answers beside a function's URL", () => {
  const table = routes(plan("cart"));
  for (const path of [
    "/fn/shop/car",
    "/fn/shop/cartx",
    "/fn/shop",
    "/fn/",
    "/fn/@acme/shop/cart",
    "/fn/@default/shop/cart",
    "/fn/shop//cart",
    "/fn/SHOP/cart",
    "/fn/shop/%63art",
    "/fn/shop/../shop/cart",
  ]) {
    assert.equal(table.find("GET", "x", path).kind, "none", path);
  }
});

test("triggers: parameters are decoded, literal segments win, the rest is taken whole", () => {
  const table = routes(
    plan("any", [{ method: "GET", path: "/thumb/{id}" }]),
    plan("new", [{ method: "GET", path: "/thumb/new" }]),
    plan("files", [{ method: "*", path: "/files/{path*}" }]),
  );
  const any = table.find("GET", "x", "/thumb/a%20b");
  assert.ok(any.kind === "found");
  assert.deepEqual([any.key, any.params], ["default/shop/any", { id: "a b" }]);
  const fresh = table.find("GET", "x", "/thumb/new");
  assert.ok(fresh.kind === "found");
  assert.equal(fresh.key, "default/shop/new");
  const rest = table.find("PUT", "x", "/files/a/b/c");
  assert.ok(rest.kind === "found");
  assert.deepEqual(rest.params, { path: "a/b/c" });
  assert.equal(table.find("GET", "x", "/thumb/").kind, "none");
});

test("the wrong method is told which are right; HEAD counts as GET", () => {
  const table = routes(plan("a", [{ method: "GET", path: "/a" }]), plan("b", [{ method: "PUT", path: "/a" }]));
  assert.deepEqual(table.find("POST", "x", "/a"), { kind: "method", allow: "GET, PUT" });
  assert.equal(table.find("HEAD", "x", "/a").kind, "found");
});

test("a host's triggers come before those of any host, whatever the port and case", () => {
  const table = routes(
    plan("everywhere", [{ method: "GET", path: "/" }]),
    plan("here", [{ method: "GET", path: "/", host: "shop.example" }]),
  );
  const here = table.find("GET", "Shop.Example:8080", "/");
  assert.ok(here.kind === "found");
  assert.equal(here.key, "default/shop/here");
  const elsewhere = table.find("GET", "[::1]:8080", "/");
  assert.ok(elsewhere.kind === "found");
  assert.equal(elsewhere.key, "default/shop/everywhere");
});

test("a broken percent-encoding is said, not thrown", () => {
  assert.equal(routes(plan("a", [{ method: "GET", path: "/a/{id}" }])).find("GET", "x", "/a/%zz").kind, "malformed");
});

test("setting a plan again replaces its triggers, removing it takes them away", () => {
  const table = routes(plan("a", [{ method: "GET", path: "/old" }]));
  table.set(plan("a", [{ method: "GET", path: "/new" }]));
  assert.equal(table.find("GET", "x", "/old").kind, "none");
  assert.equal(table.find("GET", "x", "/new").kind, "found");
  table.remove(plan("a"));
  assert.equal(table.find("GET", "x", "/new").kind, "none");
  assert.equal(table.find("GET", "x", "/fn/shop/a").kind, "none");
});
