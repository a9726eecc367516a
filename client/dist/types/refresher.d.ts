/**
 * Keeps a right alive: fetches a new token before the old one ends and hands it to the server.
 *
 * Owns the timer of one right, of the connection or of one subscription. It must never decide what an ended right
 * means; that is told to `onRefused`.
 */
import { MessageflowError } from "./codes.js";
import type { Done } from "./command-queue.js";
import type { Platform } from "./platform.js";
import type { RefreshResult } from "./protocol.js";
import type { TokenSource } from "./token.js";
export interface RefresherEvents {
    /** Hand a token to the server. */
    send(token: string, done: Done): void;
    /** The right cannot be kept. */
    onRefused(error: MessageflowError): void;
    /** An attempt failed; the next is planned. */
    onError(error: MessageflowError): void;
}
/**
 * When to fetch the next token: before the end (the server cuts at it), and spread, so that pages opened together do
 * not ask together.
 *
 * @param ttl seconds the present token is good for.
 * @returns milliseconds, between 75 % and 85 % of the life.
 */
export declare function refreshDelay(ttl: number, random: number): number;
export declare class Refresher {
    #private;
    /** @param tokens gives the source in use: it may change while a right goes on. */
    constructor(platform: Platform, tokens: () => TokenSource, events: RefresherEvents);
    /** Plan by what the server says of the life of the right; without an end, or a way to a token, there is no plan. */
    plan({ expires, ttl }: RefreshResult): void;
    /** Plan nothing, and wait for no token any more. */
    stop(): void;
}
