export default (input) => ({ hello: input?.name ?? "world" });
