import assert from "node:assert/strict";
import { test } from "node:test";
import fastify from "fastify";
import { parseJsonBody } from "./json-body.ts";
import { problemOfError } from "./problem.ts";
import { takeJson } from "./server.ts";

test("a body says what is wrong with it", async () => {
  const server = fastify();
  takeJson(server);
  server.setErrorHandler((error, _request, reply) => reply.code(400).send(problemOfError(error, "r")));
  server.post("/", (request, reply) => reply.send(request.body));
  const headers = { "content-type": "application/json" };
  const post = async (payload: string) => (await server.inject({ method: "POST", url: "/", headers, payload })).json();
  const refused: [string, RegExp][] = [
    ['{"env":{"__proto__":"x"}}', /^The body has a key "__proto__", which no object may have: choose another name\.$/],
    ['{"\\u005f_proto__":{"a":1}}', /a key "__proto__"/],
    ['{"a":[{"constructor":{"prototype":{}}}]}', /a key "constructor"/],
    ['{"a":', /^The body is not JSON: .*JSON/],
    ["", /^The body is empty: send a JSON object\.$/],
  ];
  for (const [body, message] of refused) {
    const { code, detail } = await post(body);
    assert.equal(code, "bad-input", body);
    assert.match(detail, message);
  }
  const taken = { constructor: "x", prototype: 1, a: "__proto__" };
  assert.deepEqual(await post(`\ufeff${JSON.stringify(taken)}`), taken);
  assert.deepEqual(parseJsonBody("[1]"), [1]);
  await server.close();
});
