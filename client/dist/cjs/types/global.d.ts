/**
 * Types for pages that load the script: the global `messageflow`.
 *
 * For `"types": ["messageflow/global"]` in a tsconfig, or `/// <reference types="messageflow/global" />`.
 */
import type * as face from "./index.js";
/** What the script gives the page. */
export type Messageflow = Pick<typeof face, "connect" | "createSocket" | "MessageflowError" | "status" | "version">;
declare global {
    var messageflow: Messageflow;
}
