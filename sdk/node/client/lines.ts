const MAXIMUM_LINE = 16 * 1024 * 1024;

/**
 * The values of a stream of JSON lines. A last line that was cut off is left out: it is had by asking from the last one on.
 * @throws SyntaxError that names a line which is no JSON
 */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of source) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop()!;
    if (rest.length > MAXIMUM_LINE) throw new Error(`a line has more than ${MAXIMUM_LINE} characters`);
    for (const line of lines) if (line.trim() !== "") yield parse(line);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new SyntaxError(`The platform sent a line that is no JSON: ${line.slice(0, 80)}`);
  }
}
