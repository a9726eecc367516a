/**
 * One thing asked of the page at a time, within a time, and given up when its answer is of no use any more.
 *
 * Owns the call under way. It must never ask again by itself.
 */

import type { Platform } from "./platform.js";
import { Timer } from "./timer.js";

export class Attempt {
  readonly #platform: Platform;
  #abandon: () => void = () => {};

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /**
   * Ask; what was asked before is given up.
   *
   * @param ask is given what says when its answer is waited for no more.
   */
  async run<T>(ask: (signal: AbortSignal) => T | Promise<T>, ms: number): Promise<T> {
    this.abandon();
    const timer = new Timer(this.#platform);
    const aborter = new AbortController();
    const { signal } = aborter;
    // Not by `onabort`, which a page may take for itself.
    const abandoned = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    this.#abandon = () => aborter.abort(new Error("abandoned"));
    timer.set(() => aborter.abort(new Error(`no answer within ${ms} ms`)), ms);
    try {
      return await Promise.race([ask(signal), abandoned]);
    } finally {
      timer.clear();
      aborter.abort(); // an answer that is not read to its end holds a connection too
    }
  }

  /** Give up what is under way: its outcome counts no more, and its connection and its timer are gone. */
  abandon(): void {
    this.#abandon();
  }
}
