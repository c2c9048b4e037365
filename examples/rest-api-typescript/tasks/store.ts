// Where tasks are kept. It is the part to replace first: by a database, with the same five functions.

export type Task = { readonly id: number; readonly title: string; readonly done: boolean; readonly created: string };
export type Fields = { readonly title: string; readonly done: boolean };

export type Store = ReturnType<typeof createStore>;

export function createStore(now: () => Date = () => new Date()) {
  const tasks = new Map<number, Task>();
  let last = 0;

  return {
    list: (done?: boolean): Task[] => [...tasks.values()].filter((task) => done === undefined || task.done === done),

    find: (id: number): Task | undefined => tasks.get(id),

    create(fields: Fields): Task {
      const task = { id: ++last, ...fields, created: now().toISOString() };
      tasks.set(task.id, task);
      return task;
    },

    /** Undefined where there is no such task. */
    change(id: number, fields: Partial<Fields>): Task | undefined {
      const task = tasks.get(id);
      if (task === undefined) return undefined;
      const changed = { ...task, ...fields };
      tasks.set(id, changed);
      return changed;
    },

    /** Whether there was one. */
    remove: (id: number): boolean => tasks.delete(id),
  };
}
