/** Passes lines on until `maximumBytes` have passed, then says once that the rest is left out. */
export function createOutput(pass: (line: string) => void, maximumBytes: number): (line: string) => void {
  let left = maximumBytes;
  return (line) => {
    if (left <= 0) return;
    left -= Buffer.byteLength(line) + 1;
    pass(left > 0 ? line : "… the rest of the output is left out");
  };
}
