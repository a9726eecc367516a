/**
 * All channels of a flow: those the server subscribed us to, and those the page asked for.
 *
 * Owns the two registries and who gets a push. Names are keys of Maps. It must never send anything itself.
 */
import type { MessageflowError } from "./codes.js";
import type { Context, Recovery } from "./context.js";
import type { Platform } from "./platform.js";
import type { Since } from "./position.js";
import type { Push, SubscribeResult } from "./protocol.js";
import { type Holder, SharedSubscription } from "./shared-subscription.js";
import type { Connection } from "./state.js";
export interface ChannelsEvents {
    /** A publication of a channel that the page has not subscribed to itself. */
    onPublication(data: unknown, context: Context): void;
    onRecovery(recovery: Recovery): void;
    onError(error: MessageflowError): void;
}
export declare class Channels {
    #private;
    constructor(platform: Platform, connection: Connection, since: Since | null | undefined, events: ChannelsEvents);
    /**
     * Count somebody in.
     *
     * @param last what they held before: where nobody else holds the channel, it goes on from there.
     * @param live whether the connection stands.
     */
    hold(holder: Holder, last: SharedSubscription | undefined, live: boolean): SharedSubscription;
    /** The link is open: every subscription that is wanted may ask. */
    request(): void;
    /** The link is gone. */
    lose(): void;
    /** Tokens and positions are void. */
    invalidate(): void;
    /** Where to resume what the server subscribes us to, for `connect.subs`. */
    positions(): Record<string, object> | undefined;
    /** Go live on what the server subscribed us to by itself when it accepted the connection. */
    begin(subs: Record<string, SubscribeResult>): void;
    take(push: Push): void;
}
