/** Which sandboxes there are on this machine, and which of them is used. Loads no driver: the supervisor and doctor ask as well. */
import { findProgram } from "#base/program.ts";
import { PlatformError } from "#contract/errors.ts";
import { inspectCgroups } from "#drivers/sandbox/container/cgroups/inspect.ts";
import { checkImages } from "#drivers/sandbox/container/image-root.ts";
import { type ContainerProbe, probeContainers } from "#drivers/sandbox/container/probe.ts";
import type { Config, SandboxTechnology } from "./config.ts";

export { type ContainerProbe, inspectCgroups, probeContainers };

/** What separates functions of each technology from the machine and from each other. */
export const ISOLATION = Object.freeze({ process: "none", container: "container" });
type Asked = Pick<Config, "sandbox" | "ociRuntime" | "rootFolders">;

export type SandboxChosen = {
  readonly kind: "chosen";
  readonly technology: SandboxTechnology;
  /** By what, such as `crun 1.8.1, cgroups hybrid`; empty for processes. */
  readonly detail: string;
  /** How to have stronger walls, where there are such. */
  readonly advice: string | undefined;
};
export type SandboxJudged =
  | SandboxChosen
  | { readonly kind: "refused"; readonly reason: string; readonly remedy: string };

/** The best that works here, or what was asked for. @throws PlatformError when that can't be had: never something weaker. */
export async function chooseSandbox(asked: Asked, searchPath: string): Promise<SandboxChosen> {
  const probe = await probeContainers({ wanted: asked.ociRuntime, searchPath });
  const judged = judgeSandbox(asked, probe, searchPath);
  if (judged.kind === "chosen") return judged;
  throw new PlatformError("unavailable", `${judged.reason} → ${judged.remedy}`);
}

/** What `chooseSandbox` does of it, by what was found here. */
export function judgeSandbox(asked: Asked, probe: ContainerProbe, searchPath: string): SandboxJudged {
  const { sandbox, ociRuntime, rootFolders } = asked;
  if (sandbox === "process") return processes(probe, "unset COLIBRI_SANDBOX: containers work here");
  if (sandbox === "microvm") {
    const reason = "COLIBRI_SANDBOX=microvm: microVMs are not part of this version";
    return { kind: "refused", reason, remedy: "unset COLIBRI_SANDBOX, or set it to container" };
  }
  if (!probe.works) {
    // Whoever named a runtime or an image does not want to do without.
    const withoutWillDo = sandbox === "auto" && ociRuntime === undefined && Object.keys(rootFolders).length === 0;
    if (withoutWillDo) return processes(probe, "");
    const reason = `containers, which were asked for, don't work here: ${probe.reason}`;
    return { kind: "refused", reason, remedy: probe.remedy };
  }
  const lack = lackOfImages(rootFolders);
  if (lack !== undefined) return { kind: "refused", ...lack };
  return { kind: "chosen", technology: "container", detail: probe.detail, advice: stronger(probe, searchPath) };
}

function processes(probe: ContainerProbe, whereContainersWork: string): SandboxJudged {
  const advice = probe.works ? whereContainersWork : `containers: ${probe.reason} → ${probe.remedy}`;
  return { kind: "chosen", technology: "process", detail: "", advice };
}

function stronger(probe: Extract<ContainerProbe, { works: true }>, searchPath: string): string | undefined {
  if (probe.runtime.name === "runsc") return undefined;
  const walls = "stronger walls, with a kernel of their own: COLIBRI_OCI_RUNTIME=runsc (gVisor)";
  return findProgram("runsc", searchPath) === undefined
    ? `${walls}, once it is installed (gvisor.dev/docs)`
    : `${walls}, which is installed here`;
}

function lackOfImages(rootFolders: Asked["rootFolders"]): { reason: string; remedy: string } | undefined {
  try {
    checkImages(rootFolders);
    return undefined;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { reason: error.message, remedy: "correct COLIBRI_ROOTFS, or unset it for the host's files" };
  }
}

/** In words: what is in force. */
export function describeIsolation({ technology, detail }: Pick<SandboxChosen, "technology" | "detail">): string {
  return technology === "container"
    ? `container: ${detail}`
    : "process: plain processes, no isolation: for code you trust";
}
