/**
 * A WebSocket in two halves, where none gets through: the answer to a request that does not end, and requests with commands.
 *
 * Owns both. It must never know what a message means, but for the one that says where commands are sent.
 */
import type { Platform, Socket } from "./platform.js";
export declare class HttpSocket implements Socket {
    #private;
    readyState: number;
    onopen: Socket["onopen"];
    onmessage: Socket["onmessage"];
    onclose: Socket["onclose"];
    /** @param url of the WebSocket in whose place it is. */
    constructor(platform: Platform, url: string);
    /** The first text opens the stream; later ones follow in their order, joined where they had to wait. */
    send(text: string): void;
    close(): void;
}
