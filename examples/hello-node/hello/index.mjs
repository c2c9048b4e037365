/** `input` is the body: JSON decoded, text as a string, other bytes as they are, undefined where there is none. */
export default function hello(input) {
  const name = input?.name ?? "world";
  console.log("greeting", name);
  return { hello: name };
}
