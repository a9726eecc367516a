/**
 * A client-side subscription as a state machine: subscribing, subscribed, unsubscribed.
 *
 * Owns the token, the retries and the stream of one channel. It must never call a page's handler itself; it tells its
 * events.
 */
import type { Platform } from "./platform.js";
import type { Resume } from "./position.js";
import type { Push, SubscribeResult } from "./protocol.js";
import type { Connection, Detail, SubscriptionMachineEvents, SubscriptionState } from "./state.js";
import { Stream } from "./stream.js";
import type { TokenSource } from "./token.js";
export declare class SubscriptionMachine {
    #private;
    readonly channel: string;
    constructor(platform: Platform, connection: Connection, channel: string, tokens: TokenSource, events: SubscriptionMachineEvents);
    get state(): SubscriptionState;
    get detail(): Detail;
    /** Whether the server subscribed us by itself: then the position travels with `connect`. */
    get isServerSide(): boolean;
    /** What a request carries to resume here. */
    resume(): Resume;
    /** Want the channel; whoever starts calls `request()` too, once all that it carries is known. */
    start(): void;
    /** Have the next token from here. One that has proved good goes on. */
    use(tokens: TokenSource): void;
    stop(): void;
    /** Joins and leaves are wanted: ask anew if they were not asked for. */
    watch(): void;
    /** Ask the server, if there is someone to ask and all that is needed is at hand. */
    request(isNew?: boolean): void;
    /** The server subscribed us by itself, now. */
    takeServerSide(result: SubscribeResult): void;
    /** The server had subscribed us by itself before the page asked: go on from its stream. */
    inherit(stream: Stream, live: boolean): void;
    /** Nobody in the page wants it any more: give back what the server had subscribed us to by itself. */
    handBack(): Stream | undefined;
    push(push: Push): void;
    /** The server unsubscribed us. */
    end(code: number, reason: string): void;
    /** The link is gone; the next one will find us asking. */
    lose(): void;
    /** The server did not subscribe us by itself this time: ask. */
    becomeClientSide(): void;
    invalidate(): void;
}
