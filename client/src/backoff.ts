/**
 * How long to wait: pure functions of an attempt and a random number.
 *
 * Owns no timer and no randomness of its own: `random` is an argument, a number in [0, 1).
 */

const BASE_MS = 500;
const CAP_MS = 20_000;
const SLOW_BASE_MS = 10_000;
const SLOW_CAP_MS = 50_000;
const RESTART_BASE_MS = 100;
const RESTART_CAP_MS = 1000;
/** Half a minute of tries on average; then it is no restart. */
const RESTART_TRIES = 60;

/**
 * Exponential backoff with full jitter: anywhere between now and the whole delay, so that clients thrown off together
 * do not come back together.
 *
 * @param attempt 0 for the first retry.
 */
export function backoff(attempt: number, random: number, base = BASE_MS, cap = CAP_MS): number {
  // 2 ** 1024 is Infinity, and Math.min holds that too.
  return Math.floor(random * Math.min(cap, base * 2 ** attempt));
}

/** What is waited where coming back soon is of no use: from 10 to 20 s at first, from 10 to 60 in the end. */
export function slowBackoff(attempt: number, random: number): number {
  return SLOW_BASE_MS + backoff(attempt, random, SLOW_BASE_MS, SLOW_CAP_MS);
}

/** What is waited for a server that said it starts again at once: it does so only where few clients are waiting. */
export function restartBackoff(attempt: number, random: number): number {
  return attempt < RESTART_TRIES ? backoff(attempt, random, RESTART_BASE_MS, RESTART_CAP_MS) : backoff(attempt, random);
}
