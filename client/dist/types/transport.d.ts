/**
 * One WebSocket from birth to death, and the watch over its silence.
 *
 * Owns the socket, the batching of lines into frames and the watchdog. It must never reconnect or know what a line
 * means; after it has reported its end it says nothing more.
 */
import type { Platform, Socket } from "./platform.js";
export interface TransportEvents {
    onOpen(): void;
    onFrame(frame: string): void;
    /** Once, and only when the end was not asked for by `close()`. */
    onEnd(code: number, reason: string): void;
}
/** Lines queued in one tick share a frame up to this many characters, so that no frame meets the server's limit. */
export declare const FRAME_CHARACTERS = 32768;
export declare class Transport {
    #private;
    /** @param allowed how long, in ms, the link may be silent from now on; each sign of life starts it anew. */
    constructor(platform: Platform, socket: Socket, allowed: number, events: TransportEvents);
    get ended(): boolean;
    /** Bear no longer silence from now on than pings so many seconds apart leave; any, where there are none. */
    expectPings(interval?: number): void;
    /** End now if the link has been silent too long. Called by the timer, and when a page wakes whose timers slept. */
    check(): void;
    /**
     * Expect a sign of life within `ms`: the machine may have slept, and the clock with it, or changed its network.
     *
     * @returns whether the other end is to be asked for one.
     */
    probe(ms: number): boolean;
    /** Send a line, in one frame with the other lines of this tick. */
    write(line: string): void;
    /** Let go without a word to `onEnd`. */
    close(): void;
}
