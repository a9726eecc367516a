/**
 * What is told about a message besides its data.
 */
import type { Position } from "./position.js";
import type { ClientInfo, WirePublication } from "./protocol.js";
export interface Context {
    channel: string;
    /** The number of the publication, in channels that keep history. */
    offset?: number;
    /** The life of the stream the offset belongs to. */
    epoch?: string;
    /** Whether it was published while this client was away. */
    recovered: boolean;
    /** Who published it, if a client did. */
    info?: ClientInfo;
    tags?: Record<string, string>;
}
/** Whether a channel's stream was resumed whole after an absence. When it was not: fetch the state anew. */
export interface Recovery {
    channel: string;
    recovered: boolean;
}
export declare function contextOf(channel: string, { offset, info, tags }: WirePublication, position: Position | undefined, recovered: boolean): Context;
