/** The same handler behind every contender: Colibri calls it, plain-server.mjs serves it. */
export default function hello() {
  return { hello: "world" };
}
