/**
 * The connection as a state machine: connecting, connected, disconnected.
 *
 * Owns the link of the moment, the connection token and the decision to try again. It must never know what a channel
 * or a message is about; it hands those to its events.
 */
import { Commands, type Done } from "./command-queue.js";
import type { Platform } from "./platform.js";
import { type Method } from "./protocol.js";
import type { SessionEvents, SessionOptions, State } from "./state.js";
import type { TokenSource } from "./token.js";
export declare class Session {
    #private;
    readonly commands: Commands;
    constructor(platform: Platform, options: SessionOptions, tokens: TokenSource, events: SessionEvents);
    get state(): State;
    /** Whether commands can be written, be it ahead of the reply to `connect`. */
    get isWritable(): boolean;
    connect(): void;
    /** Start over at once, with a new token: after a login or a logout. */
    reconnect(): void;
    close(): void;
    /** The page or the network is back: end a wait, and do not trust a link that has been silent. */
    wake(): void;
    /** The page is put away: say goodbye, so that the server knows at once, and let `wake()` go on from here. */
    depart(): void;
    /** Issue a command on the open link, even ahead of the reply to `connect`. */
    issue(method: Method, params: object, done: Done): void;
    /** Give the link up and try again. */
    reset(reason: string): void;
}
