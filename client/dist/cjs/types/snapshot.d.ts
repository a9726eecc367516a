/**
 * State that the application owns, and the stream from where it was read.
 *
 * Owns what is published while the state is fetched, and which of it the state has already. It must never ask before the
 * stream has a position: what is published after the answer would be missed.
 */
import { type MessageflowError } from "./codes.js";
import type { Context } from "./context.js";
import type { Platform } from "./platform.js";
import type { Position, Resume } from "./position.js";
import type { SubscriptionState } from "./state.js";
/**
 * Fetch the state, show it, and return where the channel stood before it was read. `signal` says when its answer is waited
 * for no more; hand it to `fetch`.
 */
export type GetState = {
    ask(request: {
        signal: AbortSignal;
    }): Promise<Position> | Position;
}["ask"];
/** What a snapshot needs of its subscription. */
export interface SnapshotHost {
    readonly channel: string;
    /** Where the stream stands. */
    resume(): Resume;
    deliver(data: unknown, context: Context): unknown;
    onError(error: MessageflowError): unknown;
}
export declare class Snapshot {
    #private;
    constructor(platform: Platform, getState: GetState, host: SnapshotHost);
    /** The state of before is of no use any more. */
    renew(state: SubscriptionState): void;
    /** Where the subscription is live fetch the state, unless it is there or on its way; where there is none, wait for none. */
    attend(state: SubscriptionState): void;
    /** Hand out a publication, unless the state has it. */
    take(data: unknown, context: Context): void;
}
