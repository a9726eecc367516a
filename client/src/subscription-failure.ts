/**
 * What becomes of a subscription whose request failed. Pure.
 */

import { ALREADY_SUBSCRIBED, LINK_LOST, type MessageflowError, TIMEOUT, TOKEN_EXPIRED } from "./codes.js";

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

export function judgeFailure({ code, temporary }: MessageflowError, { serverSide, renewed, isNew, renewable }: Request): Consequence {
  if (code === LINK_LOST || (code === ALREADY_SUBSCRIBED && serverSide)) return "none";
  if (code === TIMEOUT) return "reset";
  const expired = code === TOKEN_EXPIRED && renewable;
  // A token that expired during an absence is replaced at once; one that was new and has, is not.
  if (renewed || (expired && !isNew)) return "again";
  return temporary || expired ? "later" : "end";
}
