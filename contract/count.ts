/** `1 sandbox`, `2 sandboxes`: messages are for people. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
