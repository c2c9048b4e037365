/** First cases of functions that have none: what is known of them from colibri.yaml. */
import type { AppConfig } from "#contract/config/app-config.ts";
import { parseHttpTrigger } from "#contract/config/triggers.ts";

const SHOWN_FUNCTIONS = 5;
const WITH_BODY = new Set(["POST", "PUT", "PATCH"]);

type Trigger = AppConfig["functions"][string]["config"]["policy"]["triggers"][number];

/** Lines of a file of cases, for `names` of its functions. */
export function proposeCases({ functions }: AppConfig, names: readonly string[]): string[] {
  const cases = names.slice(0, SHOWN_FUNCTIONS).flatMap((name) => {
    const request = requestFor(functions[name]!.config.policy.triggers);
    return [
      `  ${name}:`,
      "    - name: answers",
      ...(request === undefined ? [] : [`      request: { ${request} }`]),
      "      expect: { status: 200 }",
    ];
  });
  return ["A first one, to which you add what it should take and answer:", "", "functions:", ...cases].map(
    (line, index) => (index < 2 ? line : `  ${line}`),
  );
}

/** As the first of its triggers would cause it; undefined for a GET of the function's own address. */
function requestFor(triggers: readonly Trigger[]): string | undefined {
  for (const trigger of triggers) {
    if ("timer" in trigger) return `json: { trigger: timer, schedule: ${JSON.stringify(trigger.timer)} }`;
    const parsed = parseHttpTrigger(trigger.http, trigger.host);
    if (parsed.kind === "wrong" || trigger.host !== undefined) continue;
    const { method, path } = parsed.trigger;
    const url = `url: ${JSON.stringify(path.replaceAll(/\{[^}]*\}/g, "1"))}`;
    if (method === "GET" || method === "*") return url;
    return `method: ${method}, ${url}${WITH_BODY.has(method) ? ", json: {}" : ""}`;
  }
  return undefined;
}
