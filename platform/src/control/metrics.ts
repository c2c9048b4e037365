import type { Clock } from "#base/clock.ts";
import { renderLabels } from "#base/metrics.ts";

const STALE_MS = 15_000;
const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) /;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{| )/;

export interface MeterSource {
  readonly role: string;
  readonly instance: string;
}

/** What roles report of their meters, as one page for Prometheus. */
export interface ReportedMetrics {
  /** Replaces what the source said before. */
  put(source: MeterSource, text: string): void;
  /** Everything that is not stale, each sample with the labels `role` and `instance`. */
  render(): string;
}

interface Page {
  readonly labels: string;
  readonly text: string;
  readonly atMs: number;
}

interface Family {
  help: string;
  type: string;
  samples: string;
}

export function createReportedMetrics(deps: { readonly clock: Clock }): ReportedMetrics {
  const pages = new Map<string, Page>();
  const pageOf = (source: MeterSource, text: string): Page => ({
    labels: renderLabels({ role: source.role, instance: source.instance }),
    text,
    atMs: deps.clock.monotonic(),
  });

  function current(): Page[] {
    const before = deps.clock.monotonic() - STALE_MS;
    for (const [key, page] of pages) if (page.atMs < before) pages.delete(key);
    return [...pages.values()];
  }

  return {
    put(source, text) {
      const page = pageOf(source, text);
      pages.set(page.labels, page);
    },
    render() {
      const families = new Map<string, Family>();
      for (const page of current()) addPage(families, page);
      return [...families.values()].map(({ help, type, samples }) => help + type + samples).join("");
    },
  };
}

/** Lines are passed on as they are, but for the labels; what follows a family's HELP or TYPE belongs to it. */
function addPage(families: Map<string, Family>, { text, labels }: Page): void {
  let family: Family | undefined;
  for (const line of text.split("\n")) {
    const comment = COMMENT.exec(line);
    if (comment !== null) {
      family = familyOf(families, comment[2]!);
      if (comment[1] === "HELP") family.help ||= `${line}\n`;
      else family.type ||= `${line}\n`;
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (sample === null) continue;
    const [whole, name] = sample;
    family ??= familyOf(families, name!);
    const rest = line.slice(whole.length);
    family.samples += sample[2] === "{" ? `${name}{${labels},${rest}\n` : `${name}{${labels}} ${rest}\n`;
  }
}

function familyOf(families: Map<string, Family>, name: string): Family {
  let family = families.get(name);
  if (family === undefined) {
    family = { help: "", type: "", samples: "" };
    families.set(name, family);
  }
  return family;
}
