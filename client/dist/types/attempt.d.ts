/**
 * One thing asked of the page at a time, within a time, and given up when its answer is of no use any more.
 *
 * Owns the call under way. It must never ask again by itself.
 */
import type { Platform } from "./platform.js";
export declare class Attempt {
    #private;
    constructor(platform: Platform);
    /**
     * Ask; what was asked before is given up.
     *
     * @param ask is given what says when its answer is waited for no more.
     */
    run<T>(ask: (signal: AbortSignal) => T | Promise<T>, ms: number): Promise<T>;
    /** Give up what is under way: its outcome counts no more, and its connection and its timer are gone. */
    abandon(): void;
}
