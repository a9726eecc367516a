/**
 * What the numbers mean: disconnect codes, unsubscribe codes, error codes, and the one error class.
 *
 * Pure decisions only; it must never hold state.
 */
import type { ErrorReply } from "./protocol.js";
/** Server error codes the client acts upon. */
export declare const INTERNAL = 100;
export declare const TOKEN_EXPIRED = 109;
export declare const ALREADY_SUBSCRIBED = 105;
export declare const LIMIT_EXCEEDED = 106;
export declare const OUTCOME_UNKNOWN = 113;
/** Codes below 100 are the client's own; they never travel. */
export declare const TIMEOUT = 1;
export declare const LINK_LOST = 2;
export declare const QUEUE_FULL = 3;
export declare const CLOSED = 4;
export declare const UNAUTHORIZED = 5;
export declare const TOKEN_FAILED = 6;
export declare const UNSUBSCRIBED = 7;
export declare const BAD_FRAME = 8;
export declare const HANDLER_FAILED = 9;
export declare const NOT_JSON = 10;
export declare const STATE_FAILED = 11;
/** Close code: a message larger than the server takes. */
export declare const TOO_LARGE = 1009;
/** Close code: the right to be connected has run out. */
export declare const CONNECTION_EXPIRED = 3005;
/** Close code: `connect` did not arrive in time; terminal by the protocol, but it is the network that kept it. */
export declare const STALE = 3502;
/** Close code: the application has disconnected the user. */
export declare const FORCE_DISCONNECT = 3503;
/** What a close code asks for beyond what its range says. Whatever has a rule is tried again. */
interface CloseRule {
    /** How soon. */
    readonly pace: "slow" | "restart";
    /** What `onError` is told, once for all the tries: a sentence for people with the server's reason in it. */
    readonly tell?: (reason: string) => string;
}
/** What every promise of this client rejects with, and what `onError` is given. */
export declare class MessageflowError extends Error {
    #private;
    readonly code: number;
    readonly temporary: boolean;
    readonly name = "MessageflowError";
    /** Whether what was asked may have been done all the same: to ask again may do it twice. */
    readonly unknown: boolean;
    /**
     * @param code below 100: of this client; otherwise the server's error or close code.
     * @param message a sentence for people.
     * @param temporary whether trying again may help.
     */
    constructor(code: number, message: string, temporary?: boolean, options?: {
        cause?: unknown;
        unknown?: boolean;
    });
    /** Whether this client made it. Looks at nothing that answers: what was thrown may be a proxy that throws itself. */
    static isOwn(error: unknown): error is MessageflowError;
}
/**
 * Make a sentence of whatever was thrown. Anything can be: what has no `toString`, what throws when it is looked at.
 */
export declare function toText(error: unknown): string;
/** What was thrown as an error of this client; one of its own stays as it is. */
export declare function asError(error: unknown, code: number, text: string, temporary?: boolean): MessageflowError;
/** What to make of a token that was just made and is over already. */
export declare function clockSkewError(): MessageflowError;
/** Refuse what is to be called later and cannot be. */
export declare function checkFunction(name: string, given: unknown): void;
/** The last resort: nobody is told if even the console fails. */
export declare function logError(...words: unknown[]): void;
/** The error of an error reply; codes below 100 are temporary by the protocol. */
export declare function replyError(reply: ErrorReply): MessageflowError;
/** The first close code that a server gives; those below tell of the link alone. */
export declare const FROM_SERVER = 3000;
/**
 * Whether a WebSocket close code forbids a reconnect: 3500–3999, 4500–4999, and 1009, a frame too large for the server;
 * unless it has a rule.
 */
export declare function isTerminalClose(code: number): boolean;
/** The rule of a close code, if it has one of its own. */
export declare function closeRule(code: number): CloseRule | undefined;
/** Whether an unsubscribe push is final; from 2500 on the client subscribes again. */
export declare function isTerminalUnsubscribe(code: number): boolean;
/** Whether tokens and positions are void: 3014 for the connection, 2502 for one subscription. */
export declare function invalidatesState(code: number): boolean;
export {};
