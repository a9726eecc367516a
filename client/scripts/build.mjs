/** Build the module, the script and the copy of the script that the gateway serves. */

import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundleModule, bundleScript, committed, root } from "./bundle.mjs";
import { report } from "./size.mjs";

const dist = join(root, "dist");
rmSync(dist, { recursive: true, force: true });
await bundleModule(join(dist, "index.js"));
await bundleScript(join(dist, "messageflow.js"));
mkdirSync(dirname(committed), { recursive: true });
copyFileSync(join(dist, "messageflow.js"), committed);
report(committed);
