import type { Operation } from "#contract/api/routes.ts";

/**
 * The rows of the control API's table that the command line uses. Written again because the table itself brings its schemas along,
 * which would double the time to start; a test compares the two.
 */
export const OPERATIONS = Object.freeze({
  getHealth: ["GET", "/v1/health"],
  listRuntimes: ["GET", "/v1/runtimes"],
  checkUpload: ["HEAD", "/v1/tenants/:tenant/uploads/:digest"],
  appendUpload: ["PATCH", "/v1/tenants/:tenant/uploads/:digest"],
  createDeployment: ["POST", "/v1/tenants/:tenant/deployments"],
  previewDeployment: ["POST", "/v1/tenants/:tenant/deployments/preview"],
  getDeployment: ["GET", "/v1/tenants/:tenant/deployments/:id"],
  followDeployment: ["GET", "/v1/tenants/:tenant/deployments/:id/events"],
  listApps: ["GET", "/v1/tenants/:tenant/apps"],
  getApp: ["GET", "/v1/tenants/:tenant/apps/:app"],
  deleteApp: ["DELETE", "/v1/tenants/:tenant/apps/:app"],
  getConfig: ["GET", "/v1/tenants/:tenant/apps/:app/config"],
  changeConfig: ["PATCH", "/v1/tenants/:tenant/apps/:app/config"],
  listFunctions: ["GET", "/v1/tenants/:tenant/apps/:app/functions"],
  getFunction: ["GET", "/v1/tenants/:tenant/apps/:app/functions/:function"],
  deleteFunction: ["DELETE", "/v1/tenants/:tenant/apps/:app/functions/:function"],
  listRevisions: ["GET", "/v1/tenants/:tenant/apps/:app/functions/:function/revisions"],
  readLogs: ["GET", "/v1/tenants/:tenant/apps/:app/functions/:function/logs"],
  listInvocations: ["GET", "/v1/tenants/:tenant/apps/:app/functions/:function/invocations"],
} as const satisfies Partial<Record<Operation, readonly [method: string, path: string]>>);

export type UsedOperation = keyof typeof OPERATIONS;
export type Params = Readonly<Record<string, string>>;
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export function pathOf(operation: UsedOperation, params: Params, query: Query = {}): string {
  const path = OPERATIONS[operation][1].replace(/:(\w+)/g, (_all, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`${operation} needs ${name}`);
    return encodeURIComponent(value);
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  return search.size === 0 ? path : `${path}?${search}`;
}
