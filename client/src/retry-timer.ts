/**
 * When the next attempt is due, to connect or to subscribe.
 *
 * Owns the count of attempts, the kind of wait and its timer. It must never decide whether there is to be one, and never say anything.
 */

import { backoff, restartBackoff, slowBackoff } from "./backoff.js";
import { closeRule } from "./codes.js";
import type { Platform } from "./platform.js";
import { Timer } from "./timer.js";

export class Retry {
  readonly #platform: Platform;
  readonly #timer: Timer;
  readonly #action: () => void;
  #attempt = 0;
  /** The server said that it starts again at once. */
  #restarting = false;

  /** @param action makes an attempt. */
  constructor(platform: Platform, action: () => void) {
    this.#platform = platform;
    this.#timer = new Timer(platform);
    this.#action = action;
  }

  /** Whether an attempt is planned. */
  get isSet(): boolean {
    return this.#timer.isSet;
  }

  /** The next wait is a first one: somebody has asked for an attempt, or one has succeeded. */
  reset(): void {
    this.#attempt = 0;
    this.#restarting = false;
  }

  clear(): void {
    this.#timer.clear();
  }

  /**
   * Plan the next attempt by why the last one, or what it led to, has ended.
   *
   * @returns milliseconds until then.
   */
  plan(code: number, atOnce = false): number {
    const pace = closeRule(code)?.pace;
    if (pace === "restart") this.#restarting = true;
    const wait = pace === "slow" ? slowBackoff : this.#restarting ? restartBackoff : backoff;
    const ms = atOnce ? 0 : wait(this.#attempt, this.#platform.random());
    this.#attempt++;
    this.#timer.set(this.#action, ms);
    return ms;
  }
}
