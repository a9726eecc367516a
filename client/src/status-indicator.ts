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

const COLORS: Record<StatusState, string> = { disconnected: "red", anonymous: "orange", authenticated: "green" };

const TITLES: Record<StatusState, string> = {
  disconnected: "No connection: live updates are off",
  anonymous: "WebSocket is connected, but not authenticated",
  authenticated: "WebSocket is connected & authenticated",
};

/** What is watched of a flow, whatever is pushed over it. */
export type Watched = Pick<Flow, "state" | "detail" | "authenticated" | "onState">;

/** Keep elements up to date with a flow. Returns the function that ends it. */
export function status(flow: Watched, { connected, authenticated, dot, colors }: StatusElements): Off {
  const show = (): void => {
    const online = flow.state === "connected";
    const state: StatusState = !online ? "disconnected" : flow.authenticated ? "authenticated" : "anonymous";
    write(connected, online ? "Online" : "Offline");
    write(authenticated, flow.authenticated ? "Yes" : "No");
    const element = find(dot);
    if (!element) return;
    const title = online || !flow.detail.code ? `${TITLES[state]}.` : `${TITLES[state]} (${flow.detail.reason}).`;
    element.setAttribute("data-state", state);
    element.setAttribute("role", "status");
    element.setAttribute("title", title);
    (element as HTMLElement).style.backgroundColor = { ...COLORS, ...colors }[state];
  };
  show.quiet = true as const;
  show();
  return flow.onState(show);
}

/** Looked up each time: a page may draw its elements later than its script runs. */
function find(element: StatusElement | string | null | undefined): StatusElement | null | undefined {
  return typeof element === "string" ? globalThis.document?.querySelector(element) : element;
}

function write(target: StatusElement | string | null | undefined, text: string): void {
  const element = find(target);
  if (element) element.textContent = text;
}
