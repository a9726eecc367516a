/**
 * Compile right and wrong programs against the declarations we ship, installed as a package, as those who use it would:
 * strictly, with `exactOptionalPropertyTypes`, our declarations checked too, in a page and in Node; and what the
 * documentation says to write.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./bundle.mjs";

const strict = {
  target: "ES2022",
  module: "ESNext",
  moduleResolution: "bundler",
  lib: ["ES2022", "DOM", "DOM.Iterable"],
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noUnusedLocals: false,
  noEmit: true,
};

const toolkit = ["@reduxjs", "@standard-schema", "immer", "redux-thunk", "reselect"];

/** The TypeScript of the documentation, each piece a program. */
const documented = [...readFileSync(join(root, "../docs/browser-client.md"), "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(([, text]) => text);

/** What is compiled, and how. */
const programs = [
  { files: documented.map((_, number) => `documented${number}.ts`), options: { skipLibCheck: true } },
  { files: ["right.ts", "toolkit.ts", "wrong.ts"], options: { types: ["node"], skipLibCheck: true } },
  { files: ["right.ts", "toolkit.ts"], options: { types: ["node"], module: "NodeNext", moduleResolution: "NodeNext", skipLibCheck: true } },
  { files: ["right.ts", "toolkit.ts"], options: { types: ["node"], strict: false, exactOptionalPropertyTypes: false, skipLibCheck: true } },
  { files: ["page.ts"], options: { types: ["messageflow/global"] } },
  { files: ["worker.ts"], options: { lib: ["ES2022", "WebWorker"] } },
  { files: ["worker.ts"], options: { lib: ["ES2020", "DOM"] } },
];

function compile(...parameters) {
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  return spawnSync(process.execPath, [compiler, ...parameters], { stdio: "inherit", cwd: root }).status === 0;
}

const folder = mkdtempSync(join(tmpdir(), "messageflow-types-"));
try {
  const modules = join(folder, "node_modules");
  const installed = join(modules, "messageflow");
  mkdirSync(installed, { recursive: true });
  copyFileSync(join(root, "package.json"), join(installed, "package.json"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  for (const name of ["@types", "csstype", "ws", "redux", "undici-types", ...toolkit]) symlinkSync(join(root, "node_modules", name), join(modules, name));
  let right = compile("-p", "tsconfig.build.json", "--outDir", join(installed, "dist/types"));
  documented.forEach((text, number) => writeFileSync(join(folder, `documented${number}.ts`), text));
  programs.forEach(({ files, options }, number) => {
    for (const file of files.filter((name) => !name.startsWith("documented"))) copyFileSync(join(root, "tests/types", file), join(folder, file));
    const config = join(folder, `tsconfig.${number}.json`);
    writeFileSync(config, JSON.stringify({ compilerOptions: { ...strict, ...options }, files }));
    right = compile("-p", config) && right;
  });
  if (!right) {
    console.error("The types refuse a right program, or let a wrong one pass.");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
