/** How the bundles are made, for the build and for the check that they are up to date. */

import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const dist = fileURLToPath(new URL("../dist", import.meta.url));
export const committed = fileURLToPath(
  new URL("../../src/messageflow/gateway/static/messageflow.js", import.meta.url),
);

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const banner = { js: `/*! messageflow ${version} | BSD-3-Clause | (c) the messageflow developers */` };
const common = { absWorkingDir: root, bundle: true, target: "es2022", charset: "utf8", banner, logLevel: "warning" };

/**
 * Properties that only our own modules read: in the script they become single letters. None of them may be part of the
 * public face, of the wire or of the DOM; `tests/bundle.test.ts` runs the minified script to prove it.
 */
const internal = [
  "isNew renewed serverSide",
  "abandon accept allow attend becomeClientSide begin check clearTimer commands current depart done drop first given",
  "handBack hold inherit invalidate isHeld isOpen isServerSide isSet isWritable issue joined left lose machine onAccepted",
  "onEmpty onEnd onFrame onInvalidate onLink onLost onOpen onPush onRefused onSubs openSocket params plan platform",
  "positionKey positions probe quiet release renew renewable reopen report request requests reset restart resume route",
  "setTimer settle take takeServerSide timer tokens use wake watch watched watches",
  "accepted again canStream deliver ended events expectPings handler late line load pace position post refuseLargest run start stop tell tries wall write",
].flatMap((line) => line.split(" "));

/** The script for plain pages: one global, minified. */
function bundleScript(outfile) {
  return build({
    ...common,
    entryPoints: ["src/browser.ts"],
    format: "iife",
    minify: true,
    mangleProps: new RegExp(`^(${internal.join("|")})$`),
    legalComments: "none",
    outfile,
  });
}

/** Everything the package has, under `folder`: the script, a module and its types for `import`, the same for `require`. */
export async function buildPackage(folder) {
  const module = { ...common, entryPoints: ["src/index.ts"] };
  await bundleScript(join(folder, "messageflow.js"));
  await build({ ...module, format: "esm", outfile: join(folder, "index.js") });
  await build({ ...module, format: "cjs", platform: "neutral", outfile: join(folder, "cjs/index.js") });
  const types = join(folder, "types");
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const ran = spawnSync(process.execPath, [compiler, "-p", join(root, "tsconfig.build.json"), "--outDir", types], { stdio: "inherit" });
  if (ran.status !== 0) throw new Error("The types cannot be made.");
  cpSync(types, join(folder, "cjs/types"), { recursive: true });
  writeFileSync(join(folder, "cjs/package.json"), '{ "type": "commonjs" }\n');
}
