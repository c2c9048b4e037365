/** What stays of the guest's own environment: what programs need anywhere, and nothing that tells of the platform. */
const KEPT = /^(?:PATH|HOME|TMPDIR|TZ|LANG|LC_[A-Z]+)$/;

/** Before user code is loaded. */
export function replaceEnvironment(environment: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(process.env)) if (!KEPT.test(name)) delete process.env[name];
  for (const [name, value] of Object.entries(environment)) process.env[name] = value;
}
