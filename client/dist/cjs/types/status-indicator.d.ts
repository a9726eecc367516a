/**
 * Shows the state of a flow in a page: two words and a dot.
 *
 * Owns nothing but the elements it is given. It writes text and attributes only, never HTML.
 */
import type { Off } from "./emitter.js";
import type { Flow } from "./flow.js";
/** What is used of an element. Not `Element` itself: where there is no page, in a worker or in Node, there is no such type. */
export interface StatusElement {
    textContent: string | null;
    setAttribute(name: string, value: string): void;
}
export interface StatusElements {
    /** Reads Online or Offline. */
    connected?: StatusElement | string | null | undefined;
    /** Reads Yes or No. */
    authenticated?: StatusElement | string | null | undefined;
    /** Red: no connection; orange: connected, but as nobody; green: both. `data-state` says the same to machines. */
    dot?: StatusElement | string | null | undefined;
    /** Other colours for the dot. */
    colors?: Partial<Record<StatusState, string>> | undefined;
}
/** No one of these words is part of another, so that a test cannot mistake them. */
export type StatusState = "disconnected" | "anonymous" | "authenticated";
/** What is watched of a flow, whatever is pushed over it. */
export type Watched = Pick<Flow, "state" | "detail" | "authenticated" | "onState">;
/** Keep elements up to date with a flow. Returns the function that ends it. */
export declare function status(flow: Watched, { connected, authenticated, dot, colors }: StatusElements): Off;
