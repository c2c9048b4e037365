// Events in order, the last of them kept: whoever was away gets what was missed.

/** `epoch` tells the events of one feed from those of the one before it. */
export function createFeed({ epoch, kept = 1000 }) {
  const events = [];
  const listeners = new Set();
  let last = 0;

  return {
    publish(data) {
      const event = { id: `${epoch}-${++last}`, number: last, data };
      events.push(event);
      if (events.length > kept) events.shift();
      for (const listener of listeners) listener(event);
    },

    /** Calls back with every event from now on. Gives a function that ends it. */
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },

    /** Those after the event `id`; `complete` is false where some of them are no longer kept, or `id` is of another feed. */
    since(id) {
      const [, feed, digits] = /^(.+)-(\d+)$/.exec(id) ?? [];
      const first = events[0]?.number ?? last + 1;
      const after = Number(digits);
      const complete = feed === epoch && after <= last && after >= first - 1;
      return { complete, events: complete ? events.filter(({ number }) => number > after) : [...events] };
    },
  };
}
