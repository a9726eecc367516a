/**
 * One timer at a time.
 *
 * Owns the timer of the moment: setting another replaces it. It must never act after `clear()`.
 */
import type { Platform } from "./platform.js";
/** One timer that replaces itself. */
export declare class Timer {
    #private;
    constructor(platform: Platform);
    get isSet(): boolean;
    set(action: () => void, ms: number): void;
    clear(): void;
}
