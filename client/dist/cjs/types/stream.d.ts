/**
 * One channel's stream as it reaches handlers: resumed, deduplicated, gaps told.
 *
 * Owns the track of one channel, for server-side and client-side subscriptions alike. It must never send anything.
 */
import { type Context } from "./context.js";
import { type Position, type Resume } from "./position.js";
import type { Push, SubscribeResult } from "./protocol.js";
export interface StreamEvents {
    onPublication(data: unknown, context: Context): void;
    /** After an absence, or at a gap: whether nothing was missed. */
    onRecovery(recovered: boolean): void;
}
export declare class Stream {
    #private;
    /** Whoever has the stream now; it may change hands. */
    events: StreamEvents;
    constructor(channel: string, since?: Position, events?: StreamEvents);
    /** What a request carries to resume here. */
    resume(): Resume;
    drop(): void;
    /** Go live by the result of a subscription, handing out what was published meanwhile. */
    begin(result: SubscribeResult): void;
    /** Hand out what was published, or go on past what is not for this client. */
    push({ pub, moved }: Push): void;
}
