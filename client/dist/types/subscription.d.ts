/**
 * A channel as a page sees it: handlers, and commands that belong to it.
 *
 * Owns the handlers of one who holds the channel. What state the channel is in, and why, is decided by `SubscriptionMachine`,
 * which all who hold it share.
 */
import { MessageflowError } from "./codes.js";
import type { Context } from "./context.js";
import { type Off } from "./emitter.js";
import type { Platform } from "./platform.js";
import type { ClientInfo } from "./protocol.js";
import type { Count, History, HistoryOptions, PublishOptions, Requests } from "./requests.js";
import type { Holder, SharedSubscription } from "./shared-subscription.js";
import { type GetState } from "./snapshot.js";
import type { Detail, SubscriptionState } from "./state.js";
import { type TokenOptions } from "./token.js";
export type PublicationHandler<Data = unknown> = {
    handle(data: Data, context: Context): unknown;
}["handle"];
export type InfoHandler = (info: ClientInfo) => unknown;
export type SubscriptionStateHandler = (state: SubscriptionState, detail: Detail) => unknown;
export interface SubscriptionOptions<Data = unknown> extends TokenOptions {
    onPublication?: PublicationHandler<Data> | undefined;
    /** Fetches state that the application owns: at first, and whenever publications were missed that nothing else makes up for. */
    getState?: GetState | undefined;
    onJoin?: InfoHandler | undefined;
    onLeave?: InfoHandler | undefined;
    onState?: SubscriptionStateHandler | undefined;
    /** After an absence: false means that publications may be missing. */
    onRecovery?: ((recovered: boolean) => unknown) | undefined;
    onError?: ((error: MessageflowError) => unknown) | undefined;
    onCount?: ((count: Count) => unknown) | undefined;
}
/** What a subscription needs of its flow. */
export interface SubscriptionHost {
    platform: Platform;
    requests: Requests;
    /** Milliseconds a command may wait for the subscription. */
    commandTimeout: number;
    /** Whether there is, or will be, a connection. */
    isOpen(): boolean;
    report(error: unknown): void;
    hold(holder: Holder, last: SharedSubscription | undefined): SharedSubscription;
}
/** @typeParam Data what is published in the channel. */
export declare class Subscription<Data = unknown> {
    #private;
    readonly channel: string;
    get state(): SubscriptionState;
    /** Why the state is what it is. */
    get detail(): Detail;
    /** Subscribe again after `unsubscribe()`, or after the server ended the subscription. */
    subscribe(): void;
    /**
     * Let the channel go: no handler given here is called any more, and when nobody else in the page holds the channel, it
     * is left. Handlers stay with this subscription; `subscribe()` comes back, and resumes where it left if the channel can.
     */
    unsubscribe(): void;
    onPublication(handler: PublicationHandler<Data>): Off;
    onJoin(handler: InfoHandler): Off;
    onLeave(handler: InfoHandler): Off;
    onState(handler: SubscriptionStateHandler): Off;
    onRecovery(handler: (recovered: boolean) => unknown): Off;
    onError(handler: (error: MessageflowError) => unknown): Off;
    /** Tell the number of connections and of people here, now and whenever it changes. */
    onCount(handler: (count: Count) => unknown): Off;
    publish(data: Data, options?: PublishOptions): Promise<void>;
    presence(): Promise<ClientInfo[]>;
    presenceStats(): Promise<Count>;
    history(options?: HistoryOptions): Promise<History<Data>>;
    /** Wait until subscribed; rejects if that is refused or given up. */
    ready(): Promise<void>;
}
