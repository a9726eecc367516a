/**
 * The states of connections and subscriptions and what their machines tell: types only.
 */
import type { MessageflowError } from "./codes.js";
import type { Done } from "./command-queue.js";
import type { ConnectResult, Method, Push, SubscribeResult } from "./protocol.js";
import type { StreamEvents } from "./stream.js";
export type State = "connecting" | "connected" | "disconnected";
/** Why a state was entered. */
export interface StateDetail {
    /** The WebSocket close code, the server's error code, or below 100 one of the client's own. 0: as asked. */
    code: number;
    reason: string;
    /** Milliseconds until the next attempt, when one is planned. */
    retryIn?: number;
    /** Of `connected`: the `data` that the application's `on_connect` returned, if it did. */
    data?: unknown;
}
export type SubscriptionState = "subscribing" | "subscribed" | "unsubscribed";
/** Why a subscription's state was entered. */
export interface Detail {
    code: number;
    reason: string;
}
export interface SessionOptions {
    url: string;
    connectTimeout: number;
    commandTimeout: number;
}
export interface SessionEvents {
    onState(state: State, detail: StateDetail): void;
    /** The server has accepted; told before the state becomes connected. */
    onAccepted(result: ConnectResult, withToken: boolean): void;
    /** The socket is open and `connect` is written: what is issued now travels in the same frame. */
    onLink(): void;
    onLost(): void;
    onSubs(subs: Record<string, SubscribeResult>): void;
    onPush(push: Push): void;
    /** The server says that tokens and positions are void. */
    onInvalidate(): void;
    onError(error: MessageflowError): void;
    /** What a `connect` carries to go on from: the positions of server-side subscriptions, the connections before. */
    resume(): object;
}
/** What a subscription needs of the connection. */
export interface Connection {
    readonly isWritable: boolean;
    issue(method: Method, params: object, done: Done): void;
    reset(reason: string): void;
}
export interface SubscriptionMachineEvents extends StreamEvents {
    /** Whether joins and leaves are to be asked for. */
    watched(): boolean;
    onState(state: SubscriptionState, detail: Detail): void;
    onError(error: MessageflowError): void;
}
