const BLANK = "***";
/** What carries a secret by its form, whoever prints it: user info of addresses, tokens of registries, headers. */
const FORMS: readonly (readonly [RegExp, string])[] = [
  [/(\w+:\/\/)[^\s/@:]+(?::[^\s/@]*)?@/g, `$1${BLANK}@`],
  [/(_(?:auth|authToken|password)["']?\s*[=:]\s*)\S+/gi, `$1${BLANK}`],
  [/\b(?:npm_|ghp_|github_pat_|glpat-|pypi-)[A-Za-z0-9_-]{16,}/g, BLANK],
  [/\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}/gi, `$1 ${BLANK}`],
];
/** Shorter ones would blank ordinary words. */
const MINIMUM_SECRET = 6;

/** Blanks `secrets`, and whatever looks like one, in a line. */
export function createRedactor(secrets: readonly string[]): (line: string) => string {
  const known = secrets.filter((secret) => secret.length >= MINIMUM_SECRET).toSorted((a, b) => b.length - a.length);
  return (line) => {
    const withoutKnown = known.reduce((text, secret) => text.replaceAll(secret, BLANK), line);
    return FORMS.reduce((text, [form, blank]) => text.replace(form, blank), withoutKnown);
  };
}
