import { createDocument } from "#contract/api/openapi.ts";
import type { Health, Runtime } from "#contract/api/resources.ts";
import type { Handlers } from "../handler.ts";

export interface PlatformHandlerDeps {
  readonly runtimes: () => readonly Runtime[] | Promise<readonly Runtime[]>;
  readonly roles: () => Health["roles"];
  readonly dropped: () => Health["dropped"];
  readonly storage: () => Promise<Health["storage"]>;
  readonly metrics: () => string | Promise<string>;
}

export interface PlatformHandlerOptions {
  readonly version: string;
  readonly sandbox: Health["sandbox"];
}

type Platform = Pick<Handlers, "getHealth" | "listRuntimes" | "getMetrics" | "getLiveness" | "getOpenapi">;

export function createPlatformHandlers(deps: PlatformHandlerDeps, options: PlatformHandlerOptions): Platform {
  const document = createDocument(options.version);
  return {
    async getHealth() {
      const roles = deps.roles();
      const storage = await deps.storage();
      const isWell = storage.length === 0 && roles.every((role) => role.state === "up");
      const { version, sandbox } = options;
      return {
        body: { version, status: isWell ? "ok" : "degraded", sandbox, roles, dropped: deps.dropped(), storage },
      };
    },
    listRuntimes: async () => ({ body: { items: [...(await deps.runtimes())] } }),
    getMetrics: async () => ({
      body: await deps.metrics(),
      headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
    }),
    getLiveness: async () => ({ body: "ok\n" }),
    getOpenapi: async () => ({ body: document }),
  };
}
