/** Check that the committed bundle is what the source builds, and that it is small enough. */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleScript, committed } from "./bundle.mjs";
import { report } from "./size.mjs";

const folder = mkdtempSync(join(tmpdir(), "messageflow-"));
try {
  const fresh = join(folder, "messageflow.js");
  await bundleScript(fresh);
  if (!readFileSync(fresh).equals(readFileSync(committed))) {
    console.error("The committed messageflow.js is not what the source builds: run `npm run build` and commit it.");
    process.exitCode = 1;
  }
  if (!report(fresh)) {
    console.error("messageflow.js is over its size limit.");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
