/** Which modules of the source import each other in a circle: types count, since who reads one has to read the other. */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const IMPORT = /(?:\bfrom\s*|\bimport\s*\(?\s*)"\.\/([\w-]+)\.js"/g;

/** Return the imports of every module: name to names. */
function readImports(folder) {
  const modules = readdirSync(folder).filter((name) => name.endsWith(".ts"));
  return new Map(
    modules.map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      return [name.slice(0, -".ts".length), [...text.matchAll(IMPORT)].map(([, imported]) => imported)];
    }),
  );
}

/** Return the names along one circle, the first again at the end; nothing where there is none. */
export function findCircle(folder) {
  const imports = readImports(folder);
  const done = new Set();
  const visit = (name, above) => {
    if (above.includes(name)) return [...above.slice(above.indexOf(name)), name];
    if (done.has(name)) return undefined;
    for (const imported of imports.get(name) ?? []) {
      const circle = visit(imported, [...above, name]);
      if (circle) return circle;
    }
    done.add(name);
    return undefined;
  };
  for (const name of imports.keys()) {
    const circle = visit(name, []);
    if (circle) return circle;
  }
  return undefined;
}
