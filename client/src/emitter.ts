/**
 * A list of handlers that cannot hurt each other.
 *
 * Owns who listens. It must never let one handler's exception reach another handler or the caller.
 */

/** Takes back what `on…()` gave. */
export type Off = () => void;

export class Emitter<Args extends unknown[]> {
  #handlers: ((...args: Args) => unknown)[] = [];
  readonly #report: (error: unknown) => void;

  /** @param report is told of what a handler threw, or of what its promise rejected with. It must not throw. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  get size(): number {
    return this.#handlers.length;
  }

  /** Add a handler; undefined is let pass, so that optional handlers need no test. */
  on(handler: ((...args: Args) => unknown) | undefined): Off {
    if (handler === undefined) return () => {};
    if (typeof handler !== "function") throw new TypeError(`A handler must be a function, not ${typeof handler}.`);
    // Wrapped: the same function added twice is two handlers, and each off() takes back its own.
    const entry = (...args: Args): unknown => handler(...args);
    this.#handlers = [...this.#handlers, entry];
    return () => {
      this.#handlers = this.#handlers.filter((other) => other !== entry);
    };
  }

  /** Call those who listen now; handlers added or removed meanwhile count from the next time. */
  emit(...args: Args): void {
    for (const handler of this.#handlers) {
      try {
        const result = handler(...args);
        // Adopted, not asked for its class: promises come from other frames and libraries too.
        if (result && typeof result === "object") Promise.resolve(result).catch(this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}
