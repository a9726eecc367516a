/** Bundle each test file with what it tests and run them with node's own runner. Arguments go to `node`;
 * MESSAGEFLOW_TESTS names one file to run alone. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { root } from "./bundle.mjs";

const only = process.env.MESSAGEFLOW_TESTS;
const folder = mkdtempSync(join(tmpdir(), "messageflow-tests-"));
try {
  const entryPoints = readdirSync(join(root, "tests"))
    .filter((name) => name.endsWith(".test.ts") && (!only || name === only))
    .map((name) => join(root, "tests", name));
  await build({
    entryPoints,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    define: { CLIENT_ROOT: JSON.stringify(root) },
    logLevel: "warning",
  });
  const files = readdirSync(folder).map((name) => join(folder, name));
  const flags = ["--enable-source-maps", "--expose-gc", "--test-timeout=60000", ...process.argv.slice(2)];
  process.exitCode = spawnSync(process.execPath, [...flags, "--test", ...files], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(folder, { recursive: true });
}
