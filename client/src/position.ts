/**
 * Where a subscription stands in its stream: epoch, offset and the tag of the last publication seen.
 *
 * Pure bookkeeping; it decides what is new, what is a duplicate and what is a gap, and must never call anybody.
 */

import type { SubscribeResult, WirePublication } from "./protocol.js";

export interface Position {
  readonly epoch: string;
  readonly offset: number;
  readonly tag?: string;
}

/** A position as a request carries it. */
export type Resume = Partial<Position> & { readonly recover?: true };

/** Where the streams of a user stood: positions by channel, as `flow.position(user)` of the application gives them. */
export type Since = Readonly<Record<string, Position>>;

export type Verdict = "new" | "duplicate" | "gap";

/** One stream seen by one client. */
export class Track {
  #position: Position | undefined;
  #seen: boolean;

  /** @param since where the stream stood when the page was made, which has in effect been away since then. */
  constructor(since?: Position) {
    this.#position = since;
    this.#seen = !!since;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** What a subscribe request carries to resume here, or nothing to resume from. */
  resume(): Resume {
    return this.#position ? { recover: true, ...this.#position } : {};
  }

  /**
   * Take over the result of a subscription.
   *
   * @returns whether everything since the last one was recovered; undefined for the first, which has missed nothing.
   */
  begin(result: SubscribeResult): boolean | undefined {
    const again = this.#seen;
    const recovered = !!result.recovered;
    this.#seen = true;
    // A recovered stream is resumed at our own offset: the publications between it and the top follow.
    if (!recovered || !this.#position) {
      this.#position = result.epoch
        ? positionAt(result.epoch, recovered ? 0 : (result.offset ?? 0), result.tag)
        : undefined;
    }
    return again ? recovered : undefined;
  }

  /** Judge a publication, or so many up to it, and step to it. Publications without an offset belong to channels without history. */
  accept({ offset, tag }: WirePublication, count = 1): Verdict {
    const last = this.#position;
    if (!offset || !last) return "new";
    if (offset <= last.offset) return "duplicate";
    this.#position = positionAt(last.epoch, offset, tag);
    return offset - count > last.offset ? "gap" : "new";
  }

  /** Forget the position; the next subscription starts at the top, and is told that it could not recover. */
  drop(): void {
    this.#position = undefined;
  }
}

function positionAt(epoch: string, offset: number, tag: string | undefined): Position {
  return { epoch, offset, ...(tag !== undefined && { tag }) };
}
