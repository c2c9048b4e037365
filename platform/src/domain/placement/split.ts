export interface Weighted {
  readonly revision: string;
  readonly weight: number;
}

/** The revision that `point`, from 0 up to 1, falls on in a weighted split. The split must not be empty. */
export function chooseRevision(split: readonly Weighted[], point: number): string {
  const total = split.reduce((sum, part) => sum + part.weight, 0);
  let rest = point * total;
  for (const part of split) {
    rest -= part.weight;
    if (rest < 0) return part.revision;
  }
  return split[split.length - 1]!.revision;
}
