/**
 * Which kind of link the next attempt opens: a WebSocket, or HTTP where none gets through.
 *
 * Owns the count of attempts that came to nothing and the way back to a WebSocket. It must never open what is kept.
 */
import type { Platform, Socket } from "./platform.js";
export declare class LinkChoice {
    #private;
    /** @param onWebSocket told, while HTTP is in use, that a WebSocket opens by now. */
    constructor(platform: Platform, url: string, onWebSocket: () => void);
    /** Open the next link. */
    open(): Socket;
    /** The server has spoken over the link that was opened last. */
    accepted(): void;
    /** The link that was opened last has ended with this close code. */
    ended(code: number): void;
    /** Nothing is to be looked for any more. */
    stop(): void;
}
