/**
 * Check that what is committed is what the source builds, that it is small enough, and so is each file of the source, and that no files of it import
 * each other in a circle. The package is committed so that its folder can be installed from a fresh clone, which has nothing to build it with.
 */

import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, committed, dist, root } from "./bundle.mjs";
import { findCircle } from "./circles.mjs";
import { report } from "./size.mjs";

/** A file of the source has one idea. */
const LINES = 250;

const files = (folder) =>
  existsSync(folder) ? readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile()) : [];

const folder = mkdtempSync(join(tmpdir(), "messageflow-"));
try {
  await buildPackage(folder);
  const script = join(folder, "messageflow.js");
  const places = [[script, committed], ...[...new Set([...files(folder), ...files(dist)])].map((name) => [join(folder, name), join(dist, name)])];
  const stale = places.filter((pair) => !pair.every(existsSync) || !readFileSync(pair[0]).equals(readFileSync(pair[1])));
  if (stale.length > 0) {
    const names = stale.map(([, file]) => file).join("\n");
    console.error(`This is not what the source builds: run \`npm run build\` in client/ and commit what it changes.\n${names}`);
    process.exitCode = 1;
  }
  const long = files(join(root, "src")).filter((name) => readFileSync(join(root, "src", name), "utf8").split("\n").length > LINES + 1);
  if (long.length > 0) {
    console.error(`Longer than ${LINES} lines: ${long.join(", ")}. Split by idea.`);
    process.exitCode = 1;
  }
  const circle = findCircle(join(root, "src"));
  if (circle) {
    console.error(`These import each other, be it types alone: ${circle.join(" → ")}. Let one declare what it needs of the other.`);
    process.exitCode = 1;
  }
  if (!report(script)) {
    console.error("messageflow.js is over its size limit.");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
