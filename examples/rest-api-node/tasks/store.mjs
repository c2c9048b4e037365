// Where tasks are kept. It is the part to replace first: by a database, with the same five functions.

/** A task is `{ id, title, done, created }`. */
export function createStore(now = () => new Date()) {
  const tasks = new Map();
  let last = 0;

  return {
    list: (done) => [...tasks.values()].filter((task) => done === undefined || task.done === done),

    find: (id) => tasks.get(id),

    create(fields) {
      const task = { id: ++last, ...fields, created: now().toISOString() };
      tasks.set(task.id, task);
      return task;
    },

    /** Undefined where there is no such task. */
    change(id, fields) {
      const task = tasks.get(id);
      if (task === undefined) return undefined;
      const changed = { ...task, ...fields };
      tasks.set(id, changed);
      return changed;
    },

    /** Whether there was one. */
    remove: (id) => tasks.delete(id),
  };
}
