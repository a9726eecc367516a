/**
 * Waiting for a state, and not too long.
 */
import type { Emitter } from "./emitter.js";
import type { Platform } from "./platform.js";
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
export declare function until<Args extends unknown[]>(emitter: Emitter<Args>, verdict: () => boolean | Error, limit?: Limit): Promise<void>;
