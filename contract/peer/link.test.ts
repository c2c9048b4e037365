import { test } from "node:test";
import { holdToVectors, readVectors } from "../link/message-vectors.ts";
import { peerEvents, peerRequests } from "./link.ts";

test("messages are the bytes that the vectors say, and nothing else is taken", () => {
  holdToVectors(readVectors(new URL("./vectors.json", import.meta.url)), peerRequests, peerEvents);
});
