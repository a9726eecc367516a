/**
 * Where a subscription stands in its stream: epoch, offset and the tag of the last publication seen.
 *
 * Pure bookkeeping; it decides what is new, what is a duplicate and what is a gap, and must never call anybody.
 */
import type { SubscribeResult, WirePublication } from "./protocol.js";
export interface Position {
    readonly epoch: string;
    readonly offset: number;
    readonly tag?: string;
}
/** A position as a request carries it. */
export type Resume = Partial<Position> & {
    readonly recover?: true;
};
/** Where the streams of a user stood: positions by channel, as `flow.position(user)` of the application gives them. */
export type Since = Readonly<Record<string, Position>>;
export type Verdict = "new" | "duplicate" | "gap";
/** One stream seen by one client. */
export declare class Track {
    #private;
    /** @param since where the stream stood when the page was made, which has in effect been away since then. */
    constructor(since?: Position);
    get position(): Position | undefined;
    /** What a subscribe request carries to resume here, or nothing to resume from. */
    resume(): Resume;
    /**
     * Take over the result of a subscription.
     *
     * @returns whether everything since the last one was recovered; undefined for the first, which has missed nothing.
     */
    begin(result: SubscribeResult): boolean | undefined;
    /** Judge a publication, or so many up to it, and step to it. Publications without an offset belong to channels without history. */
    accept({ offset, tag }: WirePublication, count?: number): Verdict;
    /** Forget the position; the next subscription starts at the top, and is told that it could not recover. */
    drop(): void;
}
