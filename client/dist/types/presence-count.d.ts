/**
 * A live head count of a channel.
 *
 * Owns when to ask: on subscribing, and after joins and leaves, many of them together. It must never count by itself:
 * joins and leaves may be missed, the server's number is not.
 */
import { type Off } from "./emitter.js";
import type { Platform } from "./platform.js";
import type { Count } from "./requests.js";
import type { SubscriptionState } from "./state.js";
/** What of a subscription its head count needs. */
export interface Countable {
    readonly state: SubscriptionState;
    presenceStats(): Promise<Count>;
    onJoin(handler: () => unknown): Off;
    onLeave(handler: () => unknown): Off;
    onState(handler: (state: SubscriptionState) => unknown): Off;
}
export declare function watchPresenceCount(subscription: Countable, platform: Platform, report: (error: unknown) => void, handler: (count: Count) => unknown): Off;
