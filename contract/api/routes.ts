/**
 * Every route of the control API, in one table: what it is called, what it takes and gives, and the permission it requires.
 * Control registers a handler for each `operation`; the OpenAPI document and the clients come from the same rows.
 */
import Type, { type TProperties, type TSchema } from "typebox";
import {
  AppSchema,
  ConfigChangeSchema,
  ConfigSchema,
  DeploymentEventSchema,
  DeploymentPreviewSchema,
  DeploymentRequestSchema,
  DeploymentSchema,
  DigestSchema,
  FunctionSchema,
  HealthSchema,
  InvocationSchema,
  LogLineSchema,
  NameSchema,
  RevisionSchema,
  RuntimeSchema,
} from "./resources.ts";

/** What a token may be given. `none`: open to everybody who reaches the port. */
const PERMISSIONS = [
  "none",
  "health.read",
  "runtimes.read",
  "apps.read",
  "apps.delete",
  "functions.read",
  "functions.delete",
  "functions.deploy",
  "config.read",
  "config.write",
  "logs.read",
  "records.read",
] as const;
export type Permission = (typeof PERMISSIONS)[number];

export interface Route {
  readonly method: "GET" | "HEAD" | "PUT" | "PATCH" | "POST" | "DELETE";
  /** Fastify's pattern. */
  readonly path: string;
  readonly permission: Permission;
  readonly summary: string;
  readonly params?: TSchema;
  readonly query?: TSchema;
  /** Headers with a meaning of their own, in lower case. */
  readonly headers?: TSchema;
  /** Absent: no body. `stream`: raw bytes, not parsed. */
  readonly body?: TSchema | "stream";
  readonly status: number;
  /** Absent: no body. A string is a media type of a stream. */
  readonly answer?: TSchema | "application/x-ndjson" | "text/plain";
  /** What each line of NDJSON is. */
  readonly lines?: TSchema;
}

const strict = { additionalProperties: false } as const;
const tenant = { tenant: NameSchema };
const app = { ...tenant, app: NameSchema };
const fn = { ...app, function: NameSchema };
const page = {
  cursor: Type.Optional(Type.String({ maxLength: 256 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
};
const listOf = <T extends TSchema>(item: T) =>
  Type.Object({
    items: Type.Array(item),
    next: Type.Optional(Type.String({ description: "`cursor` of the next page; absent on the last." })),
  });
const at = <F extends TProperties>(fields: F) => Type.Object(fields, strict);

const ifMatch = Type.Object({
  "if-match": Type.Optional(Type.String({ description: "The ETag that the function must still have." })),
});

const idempotencyKey = Type.Object({
  "idempotency-key": Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: "The same key and body again give the same deployment; another body is a conflict.",
    }),
  ),
});

const TENANT = "/v1/tenants/:tenant";
const APP = `${TENANT}/apps/:app`;
const FUNCTION = `${APP}/functions/:function`;

export const ROUTES = Object.freeze({
  getHealth: {
    method: "GET",
    path: "/v1/health",
    permission: "health.read",
    summary: "State of the platform and its roles",
    status: 200,
    answer: HealthSchema,
  },
  listRuntimes: {
    method: "GET",
    path: "/v1/runtimes",
    permission: "runtimes.read",
    summary: "Runtimes and whether this platform has them",
    status: 200,
    answer: listOf(RuntimeSchema),
  },

  /** 204: already there, nothing to upload. 404: upload it, from `Upload-Offset` on where the answer has that header. */
  checkUpload: {
    method: "HEAD",
    path: `${TENANT}/uploads/:digest`,
    permission: "functions.deploy",
    summary: "Whether a source archive is already there; of one that was cut off, `Upload-Offset` says where to go on",
    params: at({ ...tenant, digest: DigestSchema }),
    status: 204,
  },
  putUpload: {
    method: "PUT",
    path: `${TENANT}/uploads/:digest`,
    permission: "functions.deploy",
    summary: "Upload a source archive (tar, plain or gzip) by the digest of the bytes sent",
    params: at({ ...tenant, digest: DigestSchema }),
    body: "stream",
    status: 201,
  },

  /** 201: all of it is there. 204: more is to come, from the answer's `Upload-Offset` on. */
  appendUpload: {
    method: "PATCH",
    path: `${TENANT}/uploads/:digest`,
    permission: "functions.deploy",
    summary:
      "Upload a source archive, or the rest of one that was cut off; what arrives stays if the connection breaks",
    params: at({ ...tenant, digest: DigestSchema }),
    headers: Type.Object({
      "upload-offset": Type.Integer({ minimum: 0, description: "The byte that the body begins with." }),
      "upload-length": Type.Integer({ minimum: 0, description: "Bytes of the whole archive." }),
    }),
    body: "stream",
    status: 201,
  },

  createDeployment: {
    method: "POST",
    path: `${TENANT}/deployments`,
    permission: "functions.deploy",
    summary: "Build and release functions of an app",
    params: at(tenant),
    headers: idempotencyKey,
    body: DeploymentRequestSchema,
    status: 202,
    answer: DeploymentSchema,
  },
  previewDeployment: {
    method: "POST",
    path: `${TENANT}/deployments/preview`,
    permission: "functions.deploy",
    summary: "What a deployment would change, without doing it; sources need not be uploaded",
    params: at(tenant),
    body: DeploymentRequestSchema,
    status: 200,
    answer: DeploymentPreviewSchema,
  },
  listDeployments: {
    method: "GET",
    path: `${TENANT}/deployments`,
    permission: "functions.read",
    summary: "Deployments, newest first",
    params: at(tenant),
    query: at({ ...page, app: Type.Optional(NameSchema) }),
    status: 200,
    answer: listOf(DeploymentSchema),
  },
  getDeployment: {
    method: "GET",
    path: `${TENANT}/deployments/:id`,
    permission: "functions.read",
    summary: "One deployment",
    params: at({ ...tenant, id: Type.String() }),
    status: 200,
    answer: DeploymentSchema,
  },
  followDeployment: {
    method: "GET",
    path: `${TENANT}/deployments/:id/events`,
    permission: "functions.read",
    summary: "A deployment's progress from `after` on, until it ends",
    params: at({ ...tenant, id: Type.String() }),
    query: at({ after: Type.Optional(Type.Integer({ minimum: 0 })) }),
    status: 200,
    answer: "application/x-ndjson",
    lines: DeploymentEventSchema,
  },

  listApps: {
    method: "GET",
    path: `${TENANT}/apps`,
    permission: "apps.read",
    summary: "Apps",
    params: at(tenant),
    query: at(page),
    status: 200,
    answer: listOf(AppSchema),
  },
  getApp: {
    method: "GET",
    path: APP,
    permission: "apps.read",
    summary: "One app",
    params: at(app),
    status: 200,
    answer: AppSchema,
  },
  deleteApp: {
    method: "DELETE",
    path: APP,
    permission: "apps.delete",
    summary: "Delete an app with its functions",
    params: at(app),
    status: 204,
  },

  getConfig: {
    method: "GET",
    path: `${APP}/config`,
    permission: "config.read",
    summary: "Variables set beside colibri.yaml, with their values",
    params: at(app),
    status: 200,
    answer: ConfigSchema,
  },
  changeConfig: {
    method: "PATCH",
    path: `${APP}/config`,
    permission: "config.write",
    summary: "Set and unset variables beside colibri.yaml: a deployment of new revisions with the same bundles",
    params: at(app),
    headers: idempotencyKey,
    body: ConfigChangeSchema,
    status: 202,
    answer: DeploymentSchema,
  },

  listFunctions: {
    method: "GET",
    path: `${APP}/functions`,
    permission: "functions.read",
    summary: "Functions of an app",
    params: at(app),
    query: at(page),
    status: 200,
    answer: listOf(FunctionSchema),
  },
  getFunction: {
    method: "GET",
    path: FUNCTION,
    permission: "functions.read",
    summary: "One function",
    params: at(fn),
    status: 200,
    answer: FunctionSchema,
  },
  deleteFunction: {
    method: "DELETE",
    path: FUNCTION,
    permission: "functions.delete",
    summary: "Delete a function with its revisions",
    params: at(fn),
    headers: ifMatch,
    status: 204,
  },
  listRevisions: {
    method: "GET",
    path: `${FUNCTION}/revisions`,
    permission: "functions.read",
    summary: "Revisions, newest first",
    params: at(fn),
    query: at(page),
    status: 200,
    answer: listOf(RevisionSchema),
  },
  readLogs: {
    method: "GET",
    path: `${FUNCTION}/logs`,
    permission: "logs.read",
    summary: "Log lines, oldest first; with `follow` the stream stays open",
    params: at(fn),
    query: at({
      follow: Type.Optional(Type.Boolean()),
      tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
      since: Type.Optional(Type.String({ format: "date-time" })),
      invocation: Type.Optional(Type.String()),
    }),
    status: 200,
    answer: "application/x-ndjson",
    lines: LogLineSchema,
  },
  listInvocations: {
    method: "GET",
    path: `${FUNCTION}/invocations`,
    permission: "records.read",
    summary: "Records of invocations, newest first",
    params: at(fn),
    query: at({ ...page, outcome: Type.Optional(Type.String()) }),
    status: 200,
    answer: listOf(InvocationSchema),
  },
  getInvocation: {
    method: "GET",
    path: `${FUNCTION}/invocations/:id`,
    permission: "records.read",
    summary: "The record of one invocation",
    params: at({ ...fn, id: Type.String() }),
    status: 200,
    answer: InvocationSchema,
  },
  getOpenapi: {
    method: "GET",
    path: "/v1/openapi.json",
    permission: "none",
    summary: "This document: OpenAPI 3.1",
    status: 200,
    answer: Type.Record(Type.String(), Type.Unknown()),
  },
  getMetrics: {
    method: "GET",
    path: "/metrics",
    permission: "health.read",
    summary: "Metrics of the roles that report them, in Prometheus text format",
    status: 200,
    answer: "text/plain",
  },
  getLiveness: {
    method: "GET",
    path: "/healthz",
    permission: "none",
    summary: "Answers `ok` while control serves",
    status: 200,
    answer: "text/plain",
  },
} satisfies Record<string, Route>);

export type Operation = keyof typeof ROUTES;
