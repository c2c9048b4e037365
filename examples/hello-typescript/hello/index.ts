import { greeting, isLanguage, type Language } from "./greeting.ts";

type Input = { name?: string; language?: string } | null;
type Output = { greeting: string; language: Language };

export default async function hello(input: Input): Promise<Output> {
  const language = input?.language ?? "en";
  if (!isLanguage(language)) throw new RangeError(`There is no greeting in "${language}": use en, de, fr or pl.`);
  return { greeting: greeting(input?.name ?? "world", language), language };
}
