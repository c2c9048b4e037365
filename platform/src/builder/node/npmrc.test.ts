import assert from "node:assert/strict";
import { test } from "node:test";
import { filterNpmrc } from "./npmrc.ts";

test("only what says where packages come from is taken", () => {
  const filtered = filterNpmrc(
    [
      "registry=https://a.example/",
      " @scope:registry = https://b.example/ ",
      '//b.example/:_authToken="abcdef"',
      "; a comment",
      "# another",
      "[section]",
      "save-exact=true",
      "ignore-scripts=false",
      "git=./evil",
      "script-shell=./evil",
      "globalconfig",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: npm would fill it in, and that is the point
      "//c.example/:_authToken=${SECRET}",
      "cache[]=x",
    ].join("\r\n"),
  );
  assert.deepEqual(filtered, {
    text: 'registry=https://a.example/\n@scope:registry=https://b.example/\n//b.example/:_authToken="abcdef"\n',
    ignored: ["ignore-scripts", "git", "script-shell", "globalconfig", "//c.example/:_authToken", "cache[]"],
    secrets: ["abcdef"],
  });
});
