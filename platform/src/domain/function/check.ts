import type { FunctionConfig } from "#contract/api/resources.ts";
import { MAXIMUM_ENVIRONMENT_BYTES, MAXIMUM_VARIABLES, variableProblem } from "#contract/config/environment.ts";
import { handlerProblem, runtimeFamily } from "#contract/config/handler.ts";
import { freezeProblem } from "#contract/config/scaling.ts";
import { parseHttpTrigger, timerProblem } from "#contract/config/triggers.ts";

/** What is wrong with a function's configuration beyond its shape; paths are relative to it. */
export interface ConfigProblem {
  readonly path: string;
  readonly message: string;
}

export function checkConfig(config: FunctionConfig): ConfigProblem[] {
  return [
    ...checkRuntime(config),
    ...checkEnvironment(config.environment),
    ...checkScaling(config.policy.scaling),
    ...config.policy.triggers.flatMap((trigger, index) =>
      problem(`policy.triggers[${index}]`, triggerProblem(trigger)),
    ),
  ];
}

function problem(path: string, message: string | undefined): ConfigProblem[] {
  return message === undefined ? [] : [{ path, message }];
}

/** Which runtimes there are is not known here: of one that is unknown nothing is said. */
function checkRuntime({ runtime, handler, execution }: FunctionConfig): ConfigProblem[] {
  const family = runtimeFamily(runtime);
  if (family === undefined) return [];
  const executions = family.executions.join(", ");
  const wrong = `${family.name} can't run its slots as "${execution}": use one of ${executions}`;
  return [
    ...problem("handler", handlerProblem(handler, family)),
    ...problem("execution", family.executions.includes(execution) ? undefined : wrong),
  ];
}

function triggerProblem(trigger: FunctionConfig["policy"]["triggers"][number]): string | undefined {
  if (!("http" in trigger)) return timerProblem(trigger.timer);
  const parsed = parseHttpTrigger(trigger.http, trigger.host);
  return parsed.kind === "wrong" ? parsed.message : undefined;
}

/** Counted as JSON, for a LaunchSpec must fit one message of the plan stream. */
export function checkEnvironment(environment: Readonly<Record<string, string>>): ConfigProblem[] {
  const entries = Object.entries(environment);
  if (entries.length > MAXIMUM_VARIABLES)
    return problem("environment", `has ${entries.length} variables; ${MAXIMUM_VARIABLES} is the most`);
  const bytes = Buffer.byteLength(JSON.stringify(environment));
  const tooLarge = `has ${bytes} bytes as JSON; ${MAXIMUM_ENVIRONMENT_BYTES} is the most`;
  return [
    ...problem("environment", bytes > MAXIMUM_ENVIRONMENT_BYTES ? tooLarge : undefined),
    ...entries.flatMap(([name, value]) => problem(`environment.${name}`, variableProblem(name, value))),
  ];
}

function checkScaling(scaling: FunctionConfig["policy"]["scaling"]): ConfigProblem[] {
  const { min, max } = scaling;
  const wrong = `min (${min}) must not be greater than max (${max})`;
  return [
    ...problem("policy.scaling", min > max ? wrong : undefined),
    ...problem("policy.scaling.freezeAfterMs", freezeProblem(scaling)),
  ];
}
