/**
 * One channel's stream as it reaches handlers: resumed, deduplicated, gaps told.
 *
 * Owns the track of one channel, for server-side and client-side subscriptions alike. It must never send anything.
 */

import { type Context, contextOf } from "./context.js";
import { type Position, type Resume, Track } from "./position.js";
import type { Push, SubscribeResult, WirePublication } from "./protocol.js";

export interface StreamEvents {
  onPublication(data: unknown, context: Context): void;
  /** After an absence, or at a gap: whether nothing was missed. */
  onRecovery(recovered: boolean): void;
}

export class Stream {
  readonly #channel: string;
  readonly #track: Track;
  /** Whoever has the stream now; it may change hands. */
  events!: StreamEvents;

  constructor(channel: string, since?: Position, events?: StreamEvents) {
    if (events) this.events = events;
    this.#channel = channel;
    this.#track = new Track(since);
  }

  /** What a request carries to resume here. */
  resume(): Resume {
    return this.#track.resume();
  }

  drop(): void {
    this.#track.drop();
  }

  /** Go live by the result of a subscription, handing out what was published meanwhile. */
  begin(result: SubscribeResult): void {
    const recovered = this.#track.begin(result);
    if (recovered !== undefined) this.events.onRecovery(recovered);
    for (const publication of result.publications ?? []) this.#deliver(publication, true);
  }

  /** Hand out what was published, or go on past what is not for this client. */
  push({ pub, moved }: Push): void {
    if (pub) this.#deliver(pub, false);
    else if (moved && this.#track.accept(moved, moved.count) === "gap") this.events.onRecovery(false);
  }

  #deliver(publication: WirePublication, recovered: boolean): void {
    const verdict = this.#track.accept(publication);
    if (verdict === "duplicate") return;
    // The server resumes or tells; a gap among live publications is one that skips for slow readers.
    if (verdict === "gap" && !recovered) this.events.onRecovery(false);
    this.events.onPublication(publication.data, contextOf(this.#channel, publication, this.#track.position, recovered));
  }
}
