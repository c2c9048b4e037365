/** A word as a shell takes it; what drives a terminal by its number. */
export function quoted(word: string): string {
  if (/^[\w./@%+=:,-]+$/.test(word)) return word;
  if (!/\p{Cc}/u.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = word.replace(/[\\']/g, "\\$&").replace(/\p{Cc}/gu, numbered);
  return `$'${escaped}'`;
}

function numbered(character: string): string {
  return `\\u${character.codePointAt(0)!.toString(16).padStart(4, "0")}`;
}
