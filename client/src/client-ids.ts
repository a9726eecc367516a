/**
 * What the gateway has called the connections of this page.
 *
 * Owns the ids: what the application excludes one of them from is not for those that follow. It must never send any.
 */

const FORMER = 8; // that the gateway takes

export class ClientIds {
  #ids: readonly string[] = [];

  /** The newest one; empty before the first connection. */
  get last(): string {
    return this.#ids[this.#ids.length - 1] ?? "";
  }

  /** What the next connection goes on from, for its `connect`. */
  get former(): readonly string[] | undefined {
    return this.#ids.length ? this.#ids : undefined;
  }

  note(id = ""): void {
    if (id) this.#ids = [...this.#ids, id].slice(-FORMER);
  }
}
