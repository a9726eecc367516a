/** Build the package and the copy of its script that the gateway serves. */

import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { buildPackage, committed, dist } from "./bundle.mjs";
import { report } from "./size.mjs";

rmSync(dist, { recursive: true, force: true });
await buildPackage(dist);
mkdirSync(dirname(committed), { recursive: true });
copyFileSync(join(dist, "messageflow.js"), committed);
report(committed);
