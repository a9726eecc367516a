/**
 * Install the package as those who use it would, as a folder and as a packed file, and use it: by `import` and by
 * `require`, in Node and under the compiler.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./bundle.mjs";

const npm = ["--no-audit", "--no-fund", "--ignore-scripts", "--offline", "--silent"];
const say = 'if (typeof connect !== "function" || typeof version !== "string") throw new Error("nothing was exported");\n';
const imports = 'const { connect, version } = await import("messageflow");\n';
const requires = 'const { connect, version } = require("messageflow");\n';
const options = { strict: true, module: "NodeNext", target: "ES2022", lib: ["ES2022", "DOM"], types: [], noEmit: true };

function run(folder, command, parameters) {
  const { status } = spawnSync(command, parameters, { cwd: folder, stdio: ["ignore", "ignore", "inherit"], shell: false });
  if (status !== 0) throw new Error(`${[command, ...parameters].join(" ")} failed in ${folder}`);
}

function use(installed, folder) {
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "name": "page", "private": true }');
  run(folder, "npm", ["install", ...npm, installed]);
  writeFileSync(join(folder, "imports.mjs"), imports + say);
  writeFileSync(join(folder, "requires.cjs"), requires + say);
  run(folder, process.execPath, ["imports.mjs"]);
  run(folder, process.execPath, ["requires.cjs"]);
  for (const name of ["uses.mts", "uses.cts"]) copyFileSync(join(root, "tests/types/uses.ts"), join(folder, name));
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["uses.mts", "uses.cts"] }));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
  if (status !== 0) throw new Error(`the types do not resolve in ${folder}:\n${stdout}`);
}

const folder = mkdtempSync(join(tmpdir(), "messageflow-package-"));
try {
  use(root, join(folder, "linked"));
  run(root, "npm", ["pack", ...npm, "--pack-destination", folder]);
  use(join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz"))), join(folder, "packed"));
} catch (error) {
  console.error(`The package cannot be used: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
