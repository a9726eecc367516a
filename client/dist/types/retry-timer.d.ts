/**
 * When the next attempt is due, to connect or to subscribe.
 *
 * Owns the count of attempts, the kind of wait and its timer. It must never decide whether there is to be one, and never say anything.
 */
import type { Platform } from "./platform.js";
export declare class Retry {
    #private;
    /** @param action makes an attempt. */
    constructor(platform: Platform, action: () => void);
    /** Whether an attempt is planned. */
    get isSet(): boolean;
    /** The next wait is a first one: somebody has asked for an attempt, or one has succeeded. */
    reset(): void;
    clear(): void;
    /**
     * Plan the next attempt by why the last one, or what it led to, has ended.
     *
     * @returns milliseconds until then.
     */
    plan(code: number, atOnce?: boolean): number;
}
