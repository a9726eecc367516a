/**
 * How long to wait: pure functions of an attempt and a random number.
 *
 * Owns no timer and no randomness of its own: `random` is an argument, a number in [0, 1).
 */
/**
 * Exponential backoff with full jitter: anywhere between now and the whole delay, so that clients thrown off together
 * do not come back together.
 *
 * @param attempt 0 for the first retry.
 */
export declare function backoff(attempt: number, random: number, base?: number, cap?: number): number;
/** What is waited where coming back soon is of no use: from 10 to 20 s at first, from 10 to 60 in the end. */
export declare function slowBackoff(attempt: number, random: number): number;
/** What is waited for a server that said it starts again at once: it does so only where few clients are waiting. */
export declare function restartBackoff(attempt: number, random: number): number;
