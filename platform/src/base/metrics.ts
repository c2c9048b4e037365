import { assert } from "./assert.ts";

export type Labels = Readonly<Record<string, string>>;

/** The hot path does `counter.value++`: look the object up once, where the labels are known. */
export interface Counter {
  value: number;
}

/** Counts in buckets that are fixed from the start. */
export class Histogram {
  readonly bounds: readonly number[];
  /** By bucket, not added up; the last one is beyond every bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let index = 0;
    while (index < bounds.length && value > bounds[index]!) index++;
    counts[index]!++;
    this.sum += value;
  }
}

/** Seconds, from half a millisecond to half a minute: for durations of invocations and of what leads to them. */
export const SECONDS: readonly number[] = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]);

/**
 * What a role counts. Names are `colibri_…`, or those that Prometheus' clients use for processes, in base units (`_seconds`,
 * `_bytes`); counters end in `_total`. The same name and labels give the same object.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: Labels): Counter;
  /** Asked when it is rendered: a gauge, or by its name a counter. */
  read(name: string, help: string, labels: Labels, value: () => number): void;
  histogram(name: string, help: string, bounds: readonly number[], labels?: Labels): Histogram;
  /** Forgets every series with these labels among its own, such as those of a function that is gone. */
  forget(labels: Labels): void;
  /** Prometheus text format, version 0.0.4. */
  render(): string;
}

type Type = "counter" | "gauge" | "histogram";
type Series = Histogram | { readonly value: number };

interface Family {
  readonly type: Type;
  readonly help: string;
  /** By their text, as it is rendered. */
  readonly series: Map<string, { readonly labels: Labels; readonly series: Series }>;
}

const NAME = /^(?:colibri|process|nodejs)_[a-z0-9_]+$/;
const LABEL = /^[a-z_][a-z0-9_]*$/;

export function createMetrics(): Metrics {
  const families = new Map<string, Family>();

  function resolve<S extends Series>(name: string, help: string, type: Type, labels: Labels, make: () => S): S {
    let family = families.get(name);
    if (family === undefined) {
      checkName(name, type);
      family = { type, help, series: new Map() };
      families.set(name, family);
    }
    assert(family.type === type, `${name} is a ${family.type}, not a ${type}`);
    const text = renderLabels(labels);
    const found = family.series.get(text);
    if (found !== undefined) return found.series as S;
    const series = make();
    family.series.set(text, { labels, series });
    return series;
  }

  return {
    counter: (name, help, labels = {}) => resolve(name, help, "counter", labels, () => ({ value: 0 })),
    read(name, help, labels, value) {
      resolve(name, help, name.endsWith("_total") ? "counter" : "gauge", labels, () => ({
        get value() {
          return value();
        },
      }));
    },
    histogram: (name, help, bounds, labels = {}) =>
      resolve(name, help, "histogram", labels, () => new Histogram(bounds)),
    forget(labels) {
      const wanted = Object.entries(labels);
      for (const { series } of families.values()) {
        for (const [text, one] of series) {
          if (wanted.every(([name, value]) => one.labels[name] === value)) series.delete(text);
        }
      }
    },
    render: () => [...families].map(([name, family]) => renderFamily(name, family)).join(""),
  };
}

function checkName(name: string, type: Type): void {
  assert(NAME.test(name), `${name} does not begin with colibri_, process_ or nodejs_, in lower case`);
  assert((type === "counter") === name.endsWith("_total"), `${name}: counters, and only they, end in _total`);
}

function renderFamily(name: string, { type, help, series }: Family): string {
  if (series.size === 0) return "";
  let text = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
  for (const [labels, one] of series) {
    text +=
      one.series instanceof Histogram
        ? renderHistogram(name, labels, one.series)
        : `${name}${braced(labels)} ${renderValue(one.series.value)}\n`;
  }
  return text;
}

function renderHistogram(name: string, labels: string, { bounds, counts, sum }: Histogram): string {
  let text = "";
  let total = 0;
  counts.forEach((count, index) => {
    total += count;
    const bound = `le="${index < bounds.length ? renderValue(bounds[index]!) : "+Inf"}"`;
    text += `${name}_bucket${braced(labels === "" ? bound : `${labels},${bound}`)} ${total}\n`;
  });
  return `${text}${name}_sum${braced(labels)} ${renderValue(sum)}\n${name}_count${braced(labels)} ${total}\n`;
}

/** As between the braces: `a="1",b="2"`. */
export function renderLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => {
      assert(LABEL.test(name), `${name} is not a label's name`);
      return `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
    })
    .join(",");
}

function braced(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function renderValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}
