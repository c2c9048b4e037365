import { test } from "node:test";
import { holdToVectors, readVectors } from "../link/message-vectors.ts";
import { spawnerEvents, spawnerRequests } from "./link.ts";

test("every message of the spawner link has the bytes of its vector, and wrong values are refused", () => {
  holdToVectors(readVectors(new URL("vectors.json", import.meta.url)), spawnerRequests, spawnerEvents);
});
