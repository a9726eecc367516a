/**
 * What the gateway has called the connections of this page.
 *
 * Owns the ids: what the application excludes one of them from is not for those that follow. It must never send any.
 */
export declare class ClientIds {
    #private;
    /** The newest one; empty before the first connection. */
    get last(): string;
    /** What the next connection goes on from, for its `connect`. */
    get former(): readonly string[] | undefined;
    note(id?: string): void;
}
