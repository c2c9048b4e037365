import { probeContainers } from "#platform/main/sandbox-choice.ts";
import { type Finding, fail, info, ok, warn } from "./finding.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Which sandboxes work here, which of them is used, and what would be better. */
export async function checkSandboxes(env: Env): Promise<Finding[]> {
  const choice = env.COLIBRI_SANDBOX || "auto";
  const probe = await probeContainers({ wanted: env.COLIBRI_OCI_RUNTIME || undefined, searchPath: env.PATH ?? "" });
  const containers = probe.works
    ? ok("sandbox container", `works: ${probe.detail}`)
    : info("sandbox container", `does not work here: ${probe.reason}`, probe.remedy);
  const findings = [
    containers,
    info(
      "sandbox process",
      "works: functions run as processes of their own, without walls between them and the machine",
    ),
    info("sandbox microvm", "not part of this version"),
  ];
  if (probe.works) findings.push(...probe.doubts.map(({ what, remedy }) => warn("sandbox network", what, remedy)));
  if (choice === "microvm") {
    const remedy = "This version has container and process sandboxes: unset it, or set it to auto.";
    return [...findings, fail("COLIBRI_SANDBOX", "is microvm", remedy)];
  }
  if (choice === "container" && !probe.works)
    return [...findings, fail("COLIBRI_SANDBOX", "is container, which does not work here", probe.remedy)];
  if (choice === "auto" && !probe.works)
    return [...findings, warn("isolation", "functions run without walls: only for code you trust", probe.remedy)];
  return findings;
}
