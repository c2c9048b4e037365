export default (input) => {
  const name = input?.name ?? "world";
  console.log("greeting", name);
  return { hello: name };
};
