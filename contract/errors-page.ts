import { ERRORS } from "./errors.ts";

/** docs/errors.md, as the catalogue has it. */
export function renderErrors(): string {
  const sections = Object.entries(ERRORS).map(([code, { status, fault, retry, meaning, remedy }]) =>
    [
      `## ${code}`,
      "",
      `${meaning}`,
      "",
      `| status | fault | retry | what to do |`,
      `|---|---|---|---|`,
      `| ${status} | ${fault} | ${retry ? "may help" : "no use"} | ${remedy} |`,
    ].join("\n"),
  );
  return `# Errors

Every failed answer carries \`Colibri-Error-Code\` and \`Colibri-Error-Message\`; answers of the platform itself have a body of
\`application/problem+json\` too. This page is made from \`contract/errors.ts\`.

${sections.join("\n\n")}
`;
}
