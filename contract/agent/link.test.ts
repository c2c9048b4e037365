import { test } from "node:test";
import { holdToVectors, readVectors } from "../link/message-vectors.ts";
import { agentEvents, agentRequests } from "./link.ts";

test("every message of the agent link has the bytes of its vector, and wrong values are refused", () => {
  holdToVectors(readVectors(new URL("vectors.json", import.meta.url)), agentRequests, agentEvents);
});
