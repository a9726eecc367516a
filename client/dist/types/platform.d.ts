/**
 * Everything the client takes from its surroundings: clock, chance, timers, sockets, HTTP, and whether the page is there.
 *
 * Owns the only references to globals, so that a test hands in a platform of its own.
 */
/** The part of a WebSocket this client uses. */
export interface Socket {
    readonly readyState: number;
    onopen: ((event: never) => void) | null;
    onmessage: ((event: {
        data: unknown;
    }) => void) | null;
    onclose: ((event: {
        code: number;
        reason: string;
    }) => void) | null;
    send(text: string): void;
    close(): void;
}
/**
 * A WebSocket class as `connect({WebSocket})` takes it: the browser's, that of `ws`, or one like them. What its handlers
 * are called with is asked of no class: their types differ, and what is used of them does not.
 */
export type SocketClass = new (url: string) => Pick<Socket, "readyState" | "send" | "close"> & {
    onopen: unknown;
    onmessage: unknown;
    onclose: unknown;
};
/** What befalls a page. */
export interface Life {
    /** The network or the page may have come back. */
    wake(): void;
    /** The page is put away: left, kept for the back button, or frozen. It may never come back, and nobody will be told. */
    depart(): void;
}
/** The part of an HTTP response this client uses. */
export interface Answer {
    readonly ok: boolean;
    readonly status: number;
    readonly redirected?: boolean;
    text(): Promise<string>;
}
/** The same whose body is read while it comes. */
export interface StreamAnswer {
    readonly ok: boolean;
    readonly status: number;
    readonly body: ReadableStream<Uint8Array> | null;
}
export interface Platform {
    /** Milliseconds on a clock that nobody sets. It may stand still while the machine sleeps. */
    now(): number;
    /** Milliseconds on a clock that people set, and that goes on while the machine sleeps. */
    wall(): number;
    random(): number;
    setTimer(action: () => void, ms: number): unknown;
    clearTimer(timer: unknown): void;
    openSocket(url: string): Socket;
    fetch(url: string, signal: AbortSignal): Promise<Answer>;
    /** Whether `post` can be read while it comes. */
    readonly canStream: boolean;
    post(url: string, text: string, signal: AbortSignal): Promise<StreamAnswer>;
    /** Tell of the life of the page; returns how to stop. */
    attend(life: Life): () => void;
}
/** The platform of a browser page (or of any runtime with the same globals). */
export declare function browserPlatform(WebSocketClass?: SocketClass): Platform;
