export default (input, context) => ({ hello: input?.name ?? "world" });
