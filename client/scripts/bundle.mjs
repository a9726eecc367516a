/** How the bundles are made, for the build and for the check that they are up to date. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export const root = fileURLToPath(new URL("..", import.meta.url));
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
  "abandon accept alarm allow attend begin calls check clearTimer current depart done doubt drop first given give handBack hold inherit isHeld",
  "invalidate isSet issue joined left link linked lose machine onAccepted onEmpty onEnd onFrame onInvalidate onLink onLost onOpen",
  "onPush onRefused onSubs openSocket params plan positions renew renewable reopen report request requests reset",
  "isOpen place release restart tokens use watched watches",
  "resume route setTimer settle take ungive wake watch world",
].flatMap((line) => line.split(" "));

/** The script for plain pages: one global, minified. */
export function bundleScript(outfile) {
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

/** The module for bundlers: readable. */
export function bundleModule(outfile) {
  return build({ ...common, entryPoints: ["src/index.ts"], format: "esm", outfile });
}
