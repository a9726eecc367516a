/** The size a page pays for, and its limit. */

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/**
 * 11 KiB until the client learned to do without a WebSocket, by a stream and requests with commands (0.7 KiB); 10 until the client learned who is told of a final end, and to come back at once from a restart; nothing that weighed
 * more than a few dozen bytes was found to be unneeded.
 */
export const LIMIT = 12 * 1024;

/** Print the size of a bundle; returns whether it is within the limit. */
export function report(file) {
  const bytes = readFileSync(file);
  const zipped = gzipSync(bytes, { level: 9 }).length;
  console.log(`messageflow.js: ${bytes.length} bytes, ${zipped} gzipped (limit ${LIMIT})`);
  return zipped <= LIMIT;
}
