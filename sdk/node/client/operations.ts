// Made by tools/write-api-client.ts: change contract/api or contract/errors.ts, and run that.
import type {
  App,
  Config,
  ConfigChange,
  Deployment,
  DeploymentEvent,
  DeploymentPreview,
  DeploymentRequest,
  FunctionResource,
  Health,
  Invocation,
  LogLine,
  Revision,
  Runtime,
} from "./resources.ts";
import type { Bytes, CallOptions, Listing, OperationRow } from "./types.ts";

/** The control API: a method for each of its operations. Absent, `tenant` is the client's. */
export interface Api {
  /** State of the platform and its roles. Needs the permission health.read. */
  getHealth(args?: Record<never, never>, call?: CallOptions): Promise<Health>;

  /** Runtimes and whether this platform has them. Needs the permission runtimes.read. */
  listRuntimes(
    args?: Record<never, never>,
    call?: CallOptions,
  ): Promise<{
    readonly items: readonly Runtime[];
    /** `cursor` of the next page; absent on the last. */
    readonly next?: string;
  }>;

  /** Whether a source archive is already there; of one that was cut off, `Upload-Offset` says where to go on. Needs the permission functions.deploy. */
  checkUpload(
    args: {
      tenant?: string | undefined;
      digest: string;
    },
    call?: CallOptions,
  ): Promise<boolean>;

  /** Upload a source archive (tar, plain or gzip) by the digest of the bytes sent. Needs the permission functions.deploy. */
  putUpload(
    args: {
      tenant?: string | undefined;
      digest: string;
      body: Bytes;
    },
    call?: CallOptions,
  ): Promise<void>;

  /** Upload a source archive, or the rest of one that was cut off; what arrives stays if the connection breaks. Needs the permission functions.deploy. */
  appendUpload(
    args: {
      tenant?: string | undefined;
      digest: string;
      /** The byte that the body begins with. */
      uploadOffset: number;
      /** Bytes of the whole archive. */
      uploadLength: number;
      body: Bytes;
    },
    call?: CallOptions,
  ): Promise<void>;

  /** Build and release functions of an app. Needs the permission functions.deploy. */
  createDeployment(
    args: {
      tenant?: string | undefined;
      /** The same key and body again give the same deployment; another body is a conflict. */
      idempotencyKey?: string | undefined;
      body: DeploymentRequest;
    },
    call?: CallOptions,
  ): Promise<Deployment>;

  /** Deployments, newest first. Needs the permission functions.read. */
  listDeployments(
    args?: {
      tenant?: string | undefined;
      cursor?: string | undefined;
      limit?: number | undefined;
      /** Lower-case letters, digits and inner hyphens, 1 to 63 characters. */
      app?: string | undefined;
    },
    call?: CallOptions,
  ): Listing<Deployment>;

  /** What a deployment would change, without doing it; sources need not be uploaded. Needs the permission functions.deploy. */
  previewDeployment(
    args: {
      tenant?: string | undefined;
      body: DeploymentRequest;
    },
    call?: CallOptions,
  ): Promise<DeploymentPreview>;

  /** One deployment. Needs the permission functions.read. */
  getDeployment(
    args: {
      tenant?: string | undefined;
      id: string;
    },
    call?: CallOptions,
  ): Promise<Deployment>;

  /** A deployment's progress from `after` on, until it ends. Needs the permission functions.read. */
  followDeployment(
    args: {
      tenant?: string | undefined;
      id: string;
      after?: number | undefined;
    },
    call?: CallOptions,
  ): AsyncIterable<DeploymentEvent>;

  /** Apps. Needs the permission apps.read. */
  listApps(
    args?: {
      tenant?: string | undefined;
      cursor?: string | undefined;
      limit?: number | undefined;
    },
    call?: CallOptions,
  ): Listing<App>;

  /** One app. Needs the permission apps.read. */
  getApp(
    args: {
      tenant?: string | undefined;
      app: string;
    },
    call?: CallOptions,
  ): Promise<App>;

  /** Delete an app with its functions. Needs the permission apps.delete. */
  deleteApp(
    args: {
      tenant?: string | undefined;
      app: string;
    },
    call?: CallOptions,
  ): Promise<void>;

  /** Variables set beside colibri.yaml, with their values. Needs the permission config.read. */
  getConfig(
    args: {
      tenant?: string | undefined;
      app: string;
    },
    call?: CallOptions,
  ): Promise<Config>;

  /** Set and unset variables beside colibri.yaml: a deployment of new revisions with the same bundles. Needs the permission config.write. */
  changeConfig(
    args: {
      tenant?: string | undefined;
      app: string;
      /** The same key and body again give the same deployment; another body is a conflict. */
      idempotencyKey?: string | undefined;
      body: ConfigChange;
    },
    call?: CallOptions,
  ): Promise<Deployment>;

  /** Functions of an app. Needs the permission functions.read. */
  listFunctions(
    args: {
      tenant?: string | undefined;
      app: string;
      cursor?: string | undefined;
      limit?: number | undefined;
    },
    call?: CallOptions,
  ): Listing<FunctionResource>;

  /** One function. Needs the permission functions.read. */
  getFunction(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
    },
    call?: CallOptions,
  ): Promise<FunctionResource>;

  /** Delete a function with its revisions. Needs the permission functions.delete. */
  deleteFunction(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
      /** The ETag that the function must still have. */
      ifMatch?: string | undefined;
    },
    call?: CallOptions,
  ): Promise<void>;

  /** Revisions, newest first. Needs the permission functions.read. */
  listRevisions(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
      cursor?: string | undefined;
      limit?: number | undefined;
    },
    call?: CallOptions,
  ): Listing<Revision>;

  /** Log lines, oldest first; with `follow` the stream stays open. Needs the permission logs.read. */
  readLogs(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
      follow?: boolean | undefined;
      tail?: number | undefined;
      since?: string | undefined;
      invocation?: string | undefined;
    },
    call?: CallOptions,
  ): AsyncIterable<LogLine>;

  /** Records of invocations, newest first. Needs the permission records.read. */
  listInvocations(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
      cursor?: string | undefined;
      limit?: number | undefined;
      outcome?: string | undefined;
    },
    call?: CallOptions,
  ): Listing<Invocation>;

  /** The record of one invocation. Needs the permission records.read. */
  getInvocation(
    args: {
      tenant?: string | undefined;
      app: string;
      function: string;
      id: string;
    },
    call?: CallOptions,
  ): Promise<Invocation>;

  /** This document: OpenAPI 3.1. Needs no token. */
  getOpenapi(args?: Record<never, never>, call?: CallOptions): Promise<Readonly<Record<string, unknown>>>;

  /** Metrics of the roles that report them, in Prometheus text format. Needs the permission health.read. */
  getMetrics(args?: Record<never, never>, call?: CallOptions): Promise<string>;

  /** Answers `ok` while control serves. Needs no token. */
  getLiveness(args?: Record<never, never>, call?: CallOptions): Promise<string>;
}

export const OPERATIONS = {
  getHealth: { method: "GET", path: "/v1/health", query: [], headers: {}, body: "none", answer: "json" },
  listRuntimes: { method: "GET", path: "/v1/runtimes", query: [], headers: {}, body: "none", answer: "json" },
  checkUpload: {
    method: "HEAD",
    path: "/v1/tenants/{tenant}/uploads/{digest}",
    query: [],
    headers: {},
    body: "none",
    answer: "exists",
  },
  putUpload: {
    method: "PUT",
    path: "/v1/tenants/{tenant}/uploads/{digest}",
    query: [],
    headers: {},
    body: "bytes",
    answer: "nothing",
  },
  appendUpload: {
    method: "PATCH",
    path: "/v1/tenants/{tenant}/uploads/{digest}",
    query: [],
    headers: { uploadOffset: "upload-offset", uploadLength: "upload-length" },
    body: "bytes",
    answer: "nothing",
  },
  createDeployment: {
    method: "POST",
    path: "/v1/tenants/{tenant}/deployments",
    query: [],
    headers: { idempotencyKey: "idempotency-key" },
    body: "json",
    answer: "json",
  },
  listDeployments: {
    method: "GET",
    path: "/v1/tenants/{tenant}/deployments",
    query: ["cursor", "limit", "app"],
    headers: {},
    body: "none",
    answer: "pages",
  },
  previewDeployment: {
    method: "POST",
    path: "/v1/tenants/{tenant}/deployments/preview",
    query: [],
    headers: {},
    body: "json",
    answer: "json",
  },
  getDeployment: {
    method: "GET",
    path: "/v1/tenants/{tenant}/deployments/{id}",
    query: [],
    headers: {},
    body: "none",
    answer: "json",
  },
  followDeployment: {
    method: "GET",
    path: "/v1/tenants/{tenant}/deployments/{id}/events",
    query: ["after"],
    headers: {},
    body: "none",
    answer: "lines",
  },
  listApps: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps",
    query: ["cursor", "limit"],
    headers: {},
    body: "none",
    answer: "pages",
  },
  getApp: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}",
    query: [],
    headers: {},
    body: "none",
    answer: "json",
  },
  deleteApp: {
    method: "DELETE",
    path: "/v1/tenants/{tenant}/apps/{app}",
    query: [],
    headers: {},
    body: "none",
    answer: "nothing",
  },
  getConfig: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/config",
    query: [],
    headers: {},
    body: "none",
    answer: "json",
  },
  changeConfig: {
    method: "PATCH",
    path: "/v1/tenants/{tenant}/apps/{app}/config",
    query: [],
    headers: { idempotencyKey: "idempotency-key" },
    body: "json",
    answer: "json",
  },
  listFunctions: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions",
    query: ["cursor", "limit"],
    headers: {},
    body: "none",
    answer: "pages",
  },
  getFunction: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}",
    query: [],
    headers: {},
    body: "none",
    answer: "json",
  },
  deleteFunction: {
    method: "DELETE",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}",
    query: [],
    headers: { ifMatch: "if-match" },
    body: "none",
    answer: "nothing",
  },
  listRevisions: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}/revisions",
    query: ["cursor", "limit"],
    headers: {},
    body: "none",
    answer: "pages",
  },
  readLogs: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}/logs",
    query: ["follow", "tail", "since", "invocation"],
    headers: {},
    body: "none",
    answer: "lines",
  },
  listInvocations: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}/invocations",
    query: ["cursor", "limit", "outcome"],
    headers: {},
    body: "none",
    answer: "pages",
  },
  getInvocation: {
    method: "GET",
    path: "/v1/tenants/{tenant}/apps/{app}/functions/{function}/invocations/{id}",
    query: [],
    headers: {},
    body: "none",
    answer: "json",
  },
  getOpenapi: { method: "GET", path: "/v1/openapi.json", query: [], headers: {}, body: "none", answer: "json" },
  getMetrics: { method: "GET", path: "/metrics", query: [], headers: {}, body: "none", answer: "text" },
  getLiveness: { method: "GET", path: "/healthz", query: [], headers: {}, body: "none", answer: "text" },
} as const satisfies Readonly<Record<keyof Api, OperationRow>>;
