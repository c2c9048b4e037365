// The example apps do their work on real files.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Answer } from "./http.ts";
import { CHECKOUT, finish, type Platform, startPlatform } from "./platform.ts";
import { blocksIn, commandsBelow, Shell, squeeze } from "./shell.ts";

const UNREACHABLE = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;

let platform: Platform;
let shell: Shell;
/** By the deployments, in the checkout. */
const proposed: string[] = [];
/** Why thumbnails can't be tried here; undefined where it can. */
let withoutRegistry: string | undefined;
before(async () => {
  platform = await startPlatform();
  shell = new Shell(platform);
  for (const name of ["hello", "summary"]) {
    const { code, out, err } = await deployExample(name);
    assert.equal(code, 0, err);
    proposed.push(...commandsBelow(out, "Try it:"));
  }
  const { code, out, err } = await deployExample("thumbnails");
  proposed.push(...commandsBelow(out, "Try it:"));
  if (code !== 0 && UNREACHABLE.test(err)) withoutRegistry = `the npm registry can't be reached from here: ${err}`;
  else assert.equal(code, 0, err);
});
after(() => platform?.close());

const SAMPLES = { jpg: "thumbnails", png: "thumbnails", csv: "summary", json: "summary" } as const;
const media = (name: string) => {
  const example = SAMPLES[name.split(".").at(-1) as keyof typeof SAMPLES];
  return readFileSync(join(CHECKOUT, "examples", example, "samples", name));
};
const deployExample = (name: string) => finish(platform.place.spawn(["deploy", join("examples", name)], CHECKOUT));
const send = (path: string, body: string | Buffer, type: string) =>
  platform.call(path, { headers: { "content-type": type }, body });

/** What the header of the image says. */
function imageIn({ body, headers }: Answer): { type: string | undefined; width: number; height: number } {
  const type = headers["content-type"];
  if (body.toString("latin1", 1, 4) === "PNG")
    return { type, width: body.readUInt32BE(16), height: body.readUInt32BE(20) };
  assert.equal(body.readUInt16BE(0), 0xff_d8, `neither PNG nor JPEG: ${body.toString("latin1", 0, 100)}`);
  let at = 2;
  const isFrame = (marker: number) => marker >= 0xff_c0 && marker <= 0xff_c3;
  while (!isFrame(body.readUInt16BE(at))) at += 2 + body.readUInt16BE(at + 2);
  return { type, width: body.readUInt16BE(at + 7), height: body.readUInt16BE(at + 5) };
}

test("what their deployments propose can be typed", async () => {
  assert.equal(proposed.length, withoutRegistry === undefined ? 6 : 4, proposed.join("\n"));
  for (const command of proposed) {
    assert.match(command, /^npx colibri (?:invoke|logs) /);
    const { code, out, err } = await shell.run(command);
    assert.equal(code, 0, `${command}\n${out}${err}`);
  }
});

describe("thumbnails", () => {
  const withRegistry = (name: string, action: () => Promise<void>) =>
    test(name, (t) => (withoutRegistry === undefined ? action() : t.skip(withoutRegistry)));
  const thumbnail = (query: string, file: string, type: string) =>
    send(`thumbnails/thumbnail?${query}`, media(file), type);

  withRegistry("a JPEG photo becomes a small JPEG", async () => {
    const answer = await thumbnail("width=200", "photo.jpg", "image/jpeg");
    assert.deepEqual(imageIn(answer), { type: "image/jpeg", width: 200, height: 133 });
    assert.ok(answer.body.length < media("photo.jpg").length / 4);
  });

  withRegistry("a PNG becomes a small PNG that is still transparent", async () => {
    const answer = await thumbnail("width=64&height=64", "photo.png", "image/png");
    assert.deepEqual(imageIn(answer), { type: "image/png", width: 64, height: 64 });
    const colourType = answer.body[25]!;
    assert.ok(colourType >= 4 || answer.body.includes("tRNS"), `colour type ${colourType}, no tRNS`);
  });

  withRegistry("a photo stored on its side is put upright, as the format asked for", async () => {
    const answer = await thumbnail("width=120&format=png", "rotated.jpg", "image/jpeg");
    assert.deepEqual(imageIn(answer), { type: "image/png", width: 120, height: 180 });
  });

  withRegistry("what can't be used is refused in the function's own words", async () => {
    const refusals = [
      [await thumbnail("width=10", "not-an-image.png", "image/png"), 415, /PNG, JPEG or WebP/],
      [await send("thumbnails/thumbnail", "{}", "application/json"), 415, /sent as text or JSON/],
      [await thumbnail("width=10", "truncated.jpg", "image/jpeg"), 400, /damaged or cut short/],
      [await thumbnail("width=wide", "photo.jpg", "image/jpeg"), 400, /width/],
    ] as const;
    for (const [answer, status, message] of refusals) {
      assert.deepEqual([answer.status, answer.code], [status, undefined]);
      assert.match(answer.json.error, message);
    }
  });

  withRegistry("an image is inspected as it streams past", async () => {
    const { json } = await send("thumbnails/inspect", media("photo.jpg"), "image/jpeg");
    const { format, width, height, bytes } = json;
    assert.deepEqual([format, width, height, bytes], ["jpeg", 960, 640, media("photo.jpg").length]);
  });
});

describe("summary", () => {
  test("CSV and JSON of the same orders are summarised alike", async () => {
    const orders: { order: number; city: string }[] = JSON.parse(media("sales.json").toString());
    const mean = orders.reduce((sum, { order }) => sum + order, 0) / orders.length;
    const cities = new Set(orders.map(({ city }) => city)).size;
    for (const [file, type, format] of [
      ["sales.csv", "text/csv", "csv"],
      ["sales.json", "application/json", "json"],
    ] as const) {
      const { json } = await send("summary/summarise", media(file), type);
      assert.deepEqual([json.format, json.rows, json.columns.city.distinct], [format, 500, cities]);
      const { type: orderType, nulls, mean: orderMean } = json.columns.order;
      assert.deepEqual([orderType, nulls, orderMean], ["integer", 0, mean]);
    }
  });

  test("semicolons and a byte order mark are understood", async () => {
    const { json } = await send("summary/summarise", media("sales-semicolon.csv"), "text/csv");
    assert.deepEqual([json.delimiter, json.rows, json.columns.order.min], [";", 50, 10_001]);
  });

  test("a table that can't be read is an error that names the line", async () => {
    const answer = await send("summary/summarise", "a,b\n1,2\n3\n", "text/csv");
    assert.deepEqual([answer.status, answer.code], [500, "function-error"]);
    assert.match(answer.message, /line 3/i);
  });

  test("each row of a CSV becomes a JSON object", async () => {
    const { text } = await send("summary/transform", media("sales.csv"), "text/csv");
    const rows = text.trimEnd().split("\n");
    assert.equal(rows.length, 500);
    assert.equal(JSON.parse(rows[0]!).order, "10001");
  });
});

describe("the READMEs of examples that are no templates", () => {
  const folder = join(CHECKOUT, "examples");
  const apps = readdirSync(folder).filter((name) => existsSync(join(folder, name, "colibri.yaml")));
  // Those of templates are for their copies: templates.test.ts runs them there.
  for (const name of apps.filter((name) => !existsSync(join(folder, name, "template.json")))) {
    const blocks = blocksIn(readFileSync(join(folder, name, "README.md"), "utf8"));
    for (const { script, output } of blocks)
      test(`${name}: ${script.split("\n")[0]}`, async () => {
        const { code, out, err } = await shell.run(script);
        assert.equal(code, 0, `${out}${err}`);
        if (output !== undefined) assert.equal(squeeze(out), squeeze(output));
      });
  }
});
