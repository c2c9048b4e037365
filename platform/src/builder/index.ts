export {
  BUILDER_LIMITS,
  type Builder,
  type BuilderDeps,
  type BuilderLimits,
  type BuilderOptions,
  createBuilder,
} from "./builder.ts";
export type { BuildRequest, BuiltBundle } from "./job.ts";
