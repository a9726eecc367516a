/**
 * Commands on their way: ids, replies, timeouts, repeats, and those that wait for a connection.
 *
 * Owns every unanswered command. It must never keep one past its timeout, never run more than its bound of them, and
 * never say that something failed which may have been done.
 */
import { MessageflowError } from "./codes.js";
import type { Platform } from "./platform.js";
import { type Method, type ServerMessage } from "./protocol.js";
/** Called at once when the reply is read, before the lines that follow it in its frame. */
export type Done = (error: MessageflowError | undefined, result: unknown) => void;
export declare class Commands {
    #private;
    constructor(platform: Platform, timeout: number);
    /** Issue a command: now if there is a connection, otherwise as soon as there is one. */
    call(method: Method, params: object, done: Done, timeout?: number): void;
    /** Issue a command past the queue, over a link that is not yet a connection. */
    first(method: Method, params: object, done: Done, write: (line: string) => void): void;
    /** Settle the command a reply belongs to. Replies to commands given up are let pass. */
    settle(reply: ServerMessage): void;
    /** A connection is there: send what waits, in the order it came. */
    open(write: (line: string) => void): void;
    /**
     * The server ends the link over a message that is too large: let the largest command that does something fail for it,
     * alone. Sent again it would end the next link too. Only one that had a frame of its own, of which nothing was read.
     *
     * @returns whether there was one.
     */
    refuseLargest(): boolean;
    /**
     * The link is gone: nobody knows what became of the commands in flight. What may be repeated waits for the next link,
     * in front of what already waits.
     *
     * @param same whether that will be a link of the same user: nothing of one is done in the name of another.
     */
    lose(same?: boolean): void;
    /** Accept commands again, to wait for a connection. */
    reopen(): void;
    /** There will be no connection until someone asks for one. */
    close(reason: string): void;
}
