/**
 * One timer at a time.
 *
 * Owns the timer of the moment: setting another replaces it. It must never act after `clear()`.
 */

import type { Platform } from "./platform.js";

/** The longest delay a browser timer holds; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/** One timer that replaces itself. */
export class Timer {
  #timer: unknown;
  #set = false;
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  get isSet(): boolean {
    return this.#set;
  }

  set(action: () => void, ms: number): void {
    this.clear();
    this.#set = true;
    this.#timer = this.#platform.setTimer(() => {
      this.#set = false;
      action();
    }, Math.min(ms, LONGEST_MS));
  }

  clear(): void {
    if (this.#set) this.#platform.clearTimer(this.#timer);
    this.#set = false;
  }
}
