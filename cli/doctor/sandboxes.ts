import type { PlatformError } from "#contract/errors.ts";
import type { Config } from "#platform/main/config.ts";
import {
  type ContainerProbe,
  judgeSandbox,
  probeContainers,
  type SandboxJudged,
} from "#platform/main/sandbox-choice.ts";
import { type Finding, fail, info, ok, warn } from "./finding.ts";

type Env = Readonly<Record<string, string | undefined>>;

export interface SandboxFindings {
  readonly findings: Finding[];
  readonly containersWork: boolean;
}

/** Which sandboxes work here, and which `npm start` would take with these settings; without them where they can't be read. */
export async function checkSandboxes(env: Env, config: Config | PlatformError): Promise<SandboxFindings> {
  const searchPath = env.PATH ?? "";
  const probe = await probeContainers({ wanted: env.COLIBRI_OCI_RUNTIME || undefined, searchPath });
  const findings = whatWorks(probe);
  if (!(config instanceof Error))
    findings.push(isolationFinding(judgeSandbox(config, probe, searchPath), config.sandbox));
  return { findings, containersWork: probe.works };
}

function whatWorks(probe: ContainerProbe): Finding[] {
  const containers = probe.works
    ? ok("sandbox container", `works: ${probe.detail}`)
    : info("sandbox container", `does not work here: ${probe.reason}`, probe.remedy);
  const doubts = probe.works ? probe.doubts : [];
  return [
    containers,
    info(
      "sandbox process",
      "works: functions run as processes of their own, without walls between them and the machine",
    ),
    info("sandbox microvm", "not part of this version"),
    ...doubts.map(({ what, remedy }) => warn("sandbox network", what, remedy)),
  ];
}

function isolationFinding(judged: SandboxJudged, asked: Config["sandbox"]): Finding {
  const origin = asked === "auto" ? "chosen for COLIBRI_SANDBOX=auto" : `as COLIBRI_SANDBOX=${asked} says`;
  if (judged.kind === "refused") return fail("isolation", `\`npm start\` refuses: ${judged.reason}`, judged.remedy);
  const { technology, detail, advice } = judged;
  if (technology === "process")
    return warn("isolation", `process, ${origin}: functions run without walls, only for code you trust`, advice ?? "");
  return { ...ok("isolation", `container, ${origin}: ${detail}`), ...(advice !== undefined && { remedy: advice }) };
}
