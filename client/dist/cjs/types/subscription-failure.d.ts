/**
 * What becomes of a subscription whose request failed. Pure.
 */
import { type MessageflowError } from "./codes.js";
export interface Request {
    /** The server subscribed us by itself meanwhile. */
    serverSide: boolean;
    /** There is a token that it did not carry. */
    renewed: boolean;
    /** Its token was made for it. */
    isNew: boolean;
    /** Another token can be had. */
    renewable: boolean;
}
/** Nothing; the connection is given up; asked again at once, or after a wait; never again. */
export type Consequence = "none" | "reset" | "again" | "later" | "end";
export declare function judgeFailure({ code, temporary }: MessageflowError, { serverSide, renewed, isNew, renewable }: Request): Consequence;
