const held = [];

/** Memory outside of V8's heap, of which V8's own limit knows nothing. */
export default () =>
  new Promise(() => {
    setInterval(() => held.push(Buffer.alloc(8 << 20, 1)), 5);
  });
