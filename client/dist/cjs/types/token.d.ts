/**
 * Where a token comes from: given, fetched from a URL, or made by a function; and kept until it is refused.
 *
 * Owns the token. It must never put one in a URL, a log line or an error message.
 */
import type { Platform } from "./platform.js";
export interface TokenOptions {
    /** A JWT. */
    token?: string | undefined;
    /** Fetched with the page's cookies; answers `{"token": "…"}`, `{"data": {"token": "…"}}` or the bare token. */
    tokenUrl?: string | undefined;
    /** Returns a JWT, or null when nobody is logged in. `signal` says when its answer is waited for no more; hand it to `fetch`. */
    getToken?: ((request: {
        signal: AbortSignal;
    }) => Promise<string | null | undefined> | string | null | undefined) | undefined;
}
export declare class TokenSource {
    #private;
    /** Whether a token was given, or a way to one. */
    readonly given: boolean;
    constructor(platform: Platform, options: TokenOptions);
    /** The token at hand, if there is one. */
    get current(): string | undefined;
    /** Go on with a token that is in use, unless there is one of its own. */
    inherit(token: string | undefined): void;
    /** Whether a new token can be had. */
    get renewable(): boolean;
    /** Whether there is nothing to wait for: a token is at hand, or there is none to have. */
    get ready(): boolean;
    /** Forget the token. One that was given and cannot be fetched stays: there is no other. */
    drop(): void;
    /**
     * Make sure of a token.
     *
     * @returns the token, or undefined for a client that has no way to one: it is anonymous.
     * @throws MessageflowError with `temporary` false when asking again is of no use.
     */
    get(): Promise<string | undefined>;
    /** Get a new token in place of the present one. */
    renew(): Promise<string | undefined>;
    /** Abort a fetch under way: its outcome counts no more. */
    abandon(): void;
}
/** Find the token in what a token endpoint answers, in any of the forms our ancestors used. */
export declare function readToken(text: string): string | undefined;
