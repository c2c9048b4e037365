const WORDS = { en: "Hello", de: "Hallo", fr: "Bonjour", pl: "Cześć" } as const;

export type Language = keyof typeof WORDS;

export function isLanguage(text: string): text is Language {
  return Object.hasOwn(WORDS, text);
}

export function greeting(name: string, language: Language): string {
  return `${WORDS[language]}, ${name}!`;
}
