/**
 * The commands of a page as promises, and their results in the page's words.
 *
 * Owns the translation only; when and how a command travels is `Commands`' to decide.
 */
import type { Commands } from "./command-queue.js";
import type { ClientInfo } from "./protocol.js";
export interface HistoryOptions {
    /** At most so many; −1 for all the server gives at once, 0 for the position alone. Default 100. */
    limit?: number | undefined;
    /** Begin after this position. */
    since?: {
        epoch: string;
        offset: number;
    } | undefined;
    /** Newest first. */
    reverse?: boolean | undefined;
}
export interface History<Data = unknown> {
    publications: {
        data: Data;
        offset: number;
        info?: ClientInfo;
        tags?: Record<string, string>;
    }[];
    epoch: string;
    offset: number;
}
export interface Count {
    /** Connections. */
    clients: number;
    /** People: connections of one user count once. */
    users: number;
}
export interface PublishOptions {
    /** Names this publication, so that your own code may repeat it: at most 128 characters. One of its own by default. */
    idempotencyKey?: string | undefined;
}
export interface CallOptions {
    /** Milliseconds to wait for the connection and the answer. Default: `commandTimeout`. */
    timeout?: number | undefined;
}
export interface EmitOptions extends CallOptions {
    /** Names what is told, so that your own code may repeat it: at most 128 characters. One of its own by default. */
    key?: string | undefined;
}
/** A function of the application that pages call: what it takes and returns. */
export interface Call<Data = unknown, Result = unknown> {
    data: Data;
    result: Result;
}
export type DataOf<C> = C extends {
    data: infer Data;
} ? Data : unknown;
export type ResultOf<C> = C extends {
    result: infer Result;
} ? Result : unknown;
/** What follows a name: data, which may be left out where all of it may, and options. */
export type Said<Data, Given> = {} extends Data ? [data?: Data | undefined, options?: Given] : [data: Data, options?: Given];
export declare class Requests {
    #private;
    constructor(calls: Commands, random: () => number);
    publish(channel: string, data: unknown, { idempotencyKey }?: PublishOptions): Promise<void>;
    presence(channel: string): Promise<ClientInfo[]>;
    presenceStats(channel: string): Promise<Count>;
    history<Data>(channel: string, { limit, since, reverse }?: HistoryOptions): Promise<History<Data>>;
    emit(name: string, data: unknown, { timeout, key }?: EmitOptions): Promise<void>;
    call(name: string, data: unknown, { timeout }?: CallOptions): Promise<unknown>;
}
/** Check a channel's name as far as a client can. */
export declare function checkChannel(channel: unknown): string;
/** What no gateway of this version reads is refused: taken in silence it would be a promise. */
export declare function refuseUnread(options: object): void;
