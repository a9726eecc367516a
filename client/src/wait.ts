/**
 * Waiting for a state, and not too long.
 */

import type { Emitter } from "./emitter.js";
import type { Platform } from "./platform.js";
import { Timer } from "./timer.js";

export interface Limit {
  platform: Platform;
  ms: number;
  late(): Error;
}

/**
 * Wait for a verdict that changes only when an emitter tells; nothing is left behind.
 *
 * @param verdict true to resolve, an error to reject, false to go on waiting.
 * @param limit after which to reject.
 */
export function until<Args extends unknown[]>(
  emitter: Emitter<Args>,
  verdict: () => boolean | Error,
  limit?: Limit,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): boolean => {
      const found = verdict();
      if (found === true) resolve();
      else if (found) reject(found);
      return !!found;
    };
    if (look()) return;
    const timer = limit && new Timer(limit.platform);
    const off = emitter.on(() => look() && end());
    const end = (): void => {
      off();
      timer?.clear();
    };
    timer?.set(() => {
      off();
      reject(limit?.late());
    }, limit?.ms ?? 0);
  });
}
