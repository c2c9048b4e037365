// A Hono app is an object with `fetch(Request)`, which is what Colibri calls.
import { Hono } from "hono";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";

const app = new Hono();

app.use(async (c, next) => {
  const started = performance.now();
  await next();
  console.log(c.req.method, c.req.path, c.res.status, `${Math.round(performance.now() - started)} ms`);
});
app.use("/hello/*", etag());

app.get("/", (c) =>
  c.json({
    routes: app.routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} ${path}`),
  }),
);

app.get("/hello/:name", (c) => c.json({ hello: c.req.param("name") }));

app.post("/sum", async (c) => {
  const numbers = await c.req.json().catch(() => undefined);
  if (!Array.isArray(numbers) || !numbers.every(Number.isFinite))
    throw new HTTPException(422, { message: "Send a JSON array of numbers." });
  return c.json({ sum: numbers.reduce((sum, number) => sum + number, 0) });
});

/** The body goes out while it comes in, whatever its size. */
app.post("/upper", (c) => {
  const upper = new TransformStream({ transform: (text, out) => out.enqueue(text.toUpperCase()) });
  const body = c.req.raw.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(upper)
    .pipeThrough(new TextEncoderStream());
  return c.body(body ?? "", 200, { "content-type": "text/plain; charset=utf-8" });
});

app.notFound((c) => c.json({ error: `There is nothing at ${c.req.method} ${c.req.path}.` }, 404));

app.onError((error, c) => {
  if (error instanceof HTTPException) return c.json({ error: error.message }, error.status);
  throw error; // Colibri answers 500 with the message, and logs the stack
});

export default app;
