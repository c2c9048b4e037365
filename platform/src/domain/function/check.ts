import type { FunctionConfig } from "#contract/api/resources.ts";
import { parseHttpTrigger, timerProblem } from "./triggers.ts";

/** What is wrong with a function's configuration beyond its shape; paths are relative to it. */
export interface ConfigProblem {
  readonly path: string;
  readonly message: string;
}

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const RESERVED_VARIABLE = /^COLIBRI_/;
const MAXIMUM_HANDLER = 512;
const MAXIMUM_VARIABLES = 1_000;
/** execve allows no more in one string. */
const MAXIMUM_VALUE_BYTES = 128 * 1_024 - 1;
/** A LaunchSpec must fit one message of the plan stream. */
const MAXIMUM_ENVIRONMENT_BYTES = 512 * 1_024;

export function checkConfig(config: FunctionConfig): ConfigProblem[] {
  return [
    ...checkHandler(config.handler),
    ...checkEnvironment(config.environment),
    ...checkScaling(config.policy.scaling),
    ...config.policy.triggers.flatMap((trigger, index) => {
      const message = triggerProblem(trigger);
      return message === undefined ? [] : [{ path: `policy.triggers[${index}]`, message }];
    }),
  ];
}

function triggerProblem(trigger: FunctionConfig["policy"]["triggers"][number]): string | undefined {
  if (!("http" in trigger)) return timerProblem(trigger.timer);
  const parsed = parseHttpTrigger(trigger);
  return parsed.kind === "wrong" ? parsed.message : undefined;
}

function checkHandler(handler: string): ConfigProblem[] {
  const file = handler.split("#")[0]!;
  const inside = file !== "" && !file.startsWith("/") && !file.split(/[/\\]/).includes("..") && !file.includes("\0");
  if (inside && handler.length <= MAXIMUM_HANDLER) return [];
  const message = `"${handler.slice(0, 80)}" is not a handler: write a file inside the function's folder, such as index.mjs or index.mjs#handle`;
  return [{ path: "handler", message }];
}

function checkEnvironment(environment: Readonly<Record<string, string>>): ConfigProblem[] {
  const entries = Object.entries(environment);
  if (entries.length > MAXIMUM_VARIABLES)
    return [{ path: "environment", message: `has ${entries.length} variables; ${MAXIMUM_VARIABLES} is the most` }];
  const bytes = Buffer.byteLength(JSON.stringify(environment));
  const tooLarge = `has ${bytes} bytes as JSON; ${MAXIMUM_ENVIRONMENT_BYTES} is the most`;
  return [
    ...(bytes > MAXIMUM_ENVIRONMENT_BYTES ? [{ path: "environment", message: tooLarge }] : []),
    ...entries.flatMap(([name, value]) => {
      const message = variableProblem(name, value);
      return message === undefined ? [] : [{ path: `environment.${name}`, message }];
    }),
  ];
}

function variableProblem(name: string, value: string): string | undefined {
  if (!VARIABLE.test(name)) return "is not a variable's name: use letters, digits and _, not starting with a digit";
  if (RESERVED_VARIABLE.test(name)) return "begins with COLIBRI_, which is reserved for the platform: rename it";
  if (value.includes("\0")) return "contains a NUL character, which no environment can hold";
  if (Buffer.byteLength(value) > MAXIMUM_VALUE_BYTES) return `is longer than ${MAXIMUM_VALUE_BYTES} bytes`;
  return undefined;
}

function checkScaling(scaling: FunctionConfig["policy"]["scaling"]): ConfigProblem[] {
  if (scaling.min <= scaling.max) return [];
  return [{ path: "policy.scaling", message: `min (${scaling.min}) must not be greater than max (${scaling.max})` }];
}
