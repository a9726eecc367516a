/**
 * A list of handlers that cannot hurt each other.
 *
 * Owns who listens. It must never let one handler's exception reach another handler or the caller.
 */

import { checkFunction } from "./codes.js";

/** Takes back what `on…()` gave. */
export type Off = () => void;

/** Of its own for each `on`: the same function added twice is two handlers. */
interface Entry<Args extends unknown[]> {
  handler: (((...args: Args) => unknown) & Quiet) | undefined;
}

/** A handler that shows what it hears to nobody who could act: beside it, people are told as if there were none. */
export interface Quiet {
  quiet?: true;
}

export class Emitter<Args extends unknown[]> {
  #entries: readonly Entry<Args>[] = [];
  readonly #report: (error: unknown) => void;

  /** @param report is told of what a handler threw, or of what its promise rejected with. It must not throw. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** How many listen who may act. */
  get size(): number {
    return this.#entries.filter(({ handler }) => !handler?.quiet).length;
  }

  /** Add a handler; undefined is let pass, so that optional handlers need no test. */
  on(handler: ((...args: Args) => unknown) | undefined): Off {
    if (handler === undefined) return () => {};
    checkFunction("A handler", handler);
    const entry: Entry<Args> = { handler };
    this.#entries = [...this.#entries, entry];
    return () => {
      entry.handler = undefined; // not called any more, even by an emit under way, and not kept by who keeps this
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
  }

  /** Call those who listen now; handlers added meanwhile count from the next time, those taken back are not called. */
  emit(...args: Args): void {
    for (const { handler } of this.#entries) {
      try {
        const result = handler?.(...args);
        // Adopted, not asked for its class: promises come from other frames and libraries too.
        if (result && typeof result === "object") Promise.resolve(result).catch(this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
