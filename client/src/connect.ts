/**
 * The ways in: `connect`, and `createSocket` as the ancestors called it.
 *
 * Owns the choice of the world and of the default address.
 */

import type { Action } from "./actions.js";
import type { Context } from "./context.js";
import { Flow, type Options } from "./flow.js";
import { status } from "./status.js";
import { browserWorld } from "./world.js";

let origin: string | undefined;

/** Tell where the script came from; for the entry that is a script tag. */
export function setOrigin(url: string | undefined): void {
  if (url) origin = new URL(url).origin;
}

/** Open a connection that keeps itself alive. */
export function connect(options: Options = {}): Flow {
  if (!options || typeof options !== "object") {
    throw new TypeError('connect() takes an object, such as {tokenUrl: "/token", onMessage(action) {…}}.');
  }
  const page = typeof location === "undefined" ? undefined : location.href;
  const url = options.url ?? origin ?? (page && new URL(page).origin);
  if (!url) throw new TypeError('There is no page to connect back to; give url, such as "http://127.0.0.1:8000".');
  return new Flow({ ...options, url }, browserWorld(options.WebSocket), page);
}

/** An action under all the names it had: `id` and `data`, `action` and `payload`, `actionType`, `type`. */
export interface LegacyAction extends Action {
  id: string;
  data: unknown;
  action: string;
  actionType: string;
}

/**
 * The call of message_flow: `createSocket(url, messageHandler)`.
 *
 * The token comes from `/socket_auth_token` unless options say otherwise; `#connected`, `#authenticated` and
 * `#websocketStatus` are kept up to date when the page has them.
 */
export function createSocket(
  url: string,
  messageHandler: (message: LegacyAction, context: Context) => unknown,
  options: Options = {},
): Flow {
  if (typeof messageHandler !== "function") {
    throw new TypeError("createSocket(url, messageHandler) needs a function to give the messages to.");
  }
  const anyToken = options.token ?? options.getToken;
  const flow = connect({ ...(anyToken ? {} : { tokenUrl: "/socket_auth_token" }), ...options, url });
  flow.onMessage((action, context) => {
    const { type, payload } = action;
    return messageHandler({ ...action, payload, id: type, data: payload, action: type, actionType: type }, context);
  });
  status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  return flow;
}
