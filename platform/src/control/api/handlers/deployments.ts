import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { isId } from "#contract/names.ts";
import type { DeploymentState, Store } from "#ports/store/index.ts";
import type { Deployments } from "../../deployments/deployments.ts";
import type { Standing } from "../../unfinished-uploads.ts";
import type { Uploads } from "../../uploads.ts";
import type { Handlers } from "../handler.ts";
import { decodeCursor, PAGE_ITEMS, pageOf } from "../paging.ts";
import { viewDeployment, viewEvent } from "../views.ts";

export interface DeploymentHandlerDeps {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly deployments: Deployments;
}

type Deploying = Pick<
  Handlers,
  | "checkUpload"
  | "putUpload"
  | "appendUpload"
  | "createDeployment"
  | "previewDeployment"
  | "listDeployments"
  | "getDeployment"
  | "followDeployment"
>;

export function createDeploymentHandlers({ store, uploads, deployments }: DeploymentHandlerDeps): Deploying {
  const find = async (tenant: string, id: string): Promise<DeploymentState> => {
    const found = isId(id) ? await store.deployment(tenant, id) : undefined;
    if (found === undefined)
      throw new PlatformError("not-found", `There is no deployment "${id}" of tenant "${tenant}".`);
    return found;
  };
  return {
    async checkUpload({ params: { tenant, digest } }) {
      if (await uploads.has(tenant, digest as Digest)) return { body: undefined };
      const standing = await uploads.unfinished(tenant, digest as Digest);
      if (standing !== undefined) return { body: undefined, status: 404, headers: headersOf(standing) };
      throw new PlatformError("not-found", `${digest} has not been uploaded.`);
    },
    async putUpload({ params: { tenant, digest }, body }) {
      const stored = await uploads.receive(tenant, digest as Digest, body);
      return { body: undefined, status: stored ? 201 : 204 };
    },
    async appendUpload({ params: { tenant, digest }, body, headers }) {
      const [offset, totalBytes] = [headers["upload-offset"], headers["upload-length"]].map(Number);
      const piece = { offset: offset!, totalBytes: totalBytes!, source: body };
      const outcome = await uploads.append(tenant, digest as Digest, piece);
      if (outcome === "stored") return { body: undefined };
      return { body: undefined, status: 204, headers: { "upload-offset": String(outcome.offset) } };
    },
    async createDeployment({ params: { tenant }, body, headers }) {
      const key = headers["idempotency-key"] as string | undefined;
      const state = await deployments.create(tenant, body, key);
      return { body: viewDeployment(state), headers: { location: `/v1/tenants/${tenant}/deployments/${state.id}` } };
    },
    previewDeployment: async ({ params: { tenant }, body }) => ({ body: await deployments.preview(tenant, body) }),
    async listDeployments({ params: { tenant }, query: { app, cursor, limit = PAGE_ITEMS } }) {
      const before = decodeCursor(cursor, isId);
      const read = (limit: number) => store.deployments(tenant, { app, before, limit });
      return { body: await pageOf(limit, read, (state) => state.id, viewDeployment) };
    },
    getDeployment: async ({ params: { tenant, id } }) => ({ body: viewDeployment(await find(tenant, id)) }),
    async followDeployment({ params: { tenant, id }, query: { after = 0 }, signal }) {
      await find(tenant, id);
      return { body: viewed(deployments.follow(tenant, id, after, signal)) };
    },
  };
}

function headersOf({ offset, totalBytes }: Standing): Record<string, string> {
  return { "upload-offset": String(offset), "upload-length": String(totalBytes) };
}

async function* viewed(events: ReturnType<Deployments["follow"]>) {
  for await (const event of events) yield viewEvent(event);
}
