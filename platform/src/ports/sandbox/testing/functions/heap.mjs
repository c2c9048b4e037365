/** Until V8 aborts. */
export default () => {
  const held = [];
  for (;;) held.push(new Array(1_000).fill(held.length));
};
