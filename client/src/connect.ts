/**
 * The ways in: `connect`, and `createSocket` as the ancestors called it.
 *
 * Owns the choice of the platform and of the default address.
 */

import type { Action, ActionHandler } from "./actions.js";
import { Flow } from "./flow.js";
import type { Options } from "./options.js";
import { browserPlatform } from "./platform.js";
import { status } from "./status.js";

let base: string | undefined;

/** Tell where the script came from; for the entry that is a script tag. Its path is kept: a proxy may have put one before. */
export function setBase(url: string | undefined): void {
  base = url?.match(/https?:[^?#]*\//)?.[0];
}

/**
 * Open a connection that keeps itself alive.
 *
 * Two signatures, so that what may be pushed is what the page says and never only what `on` happens to handle.
 *
 * @typeParam Pushes what may be pushed: payloads by type.
 */
export function connect(options?: Options): Flow;
export function connect<Pushes extends object>(options?: Options<Pushes>): Flow<Pushes>;
export function connect<Pushes extends object>(options: Options<Pushes> = {}): Flow<Pushes> {
  if (!options || typeof options !== "object") {
    throw new TypeError('connect() takes an object, such as {tokenUrl: "/token", onMessage(action) {…}}.');
  }
  const page = globalThis.location?.href.replace(/^blob:/, ""); // of a worker that was made of a text
  const url = options.url ?? base ?? (page && new URL(page).origin);
  if (!url) throw new TypeError('There is no page to connect back to; give url.');
  return new Flow<Pushes>({ ...options, url }, browserPlatform(options.WebSocket), page);
}

/** An action under all the names it had: `id` and `data`, `action` and `payload`, `actionType`, `type`. */
export type LegacyAction = Action & { id: string; data: unknown; action: string; actionType: string };

/**
 * The call of message_flow: `createSocket(url, messageHandler)`.
 *
 * The token comes from `/socket_auth_token` unless options say otherwise; `#connected`, `#authenticated` and
 * `#websocketStatus` are kept up to date when the page has them.
 */
export function createSocket(
  url: string,
  messageHandler: ActionHandler<LegacyAction>,
  options: Options = {},
): Flow {
  if (typeof messageHandler !== "function") {
    throw new TypeError("createSocket(url, messageHandler) needs a function.");
  }
  const anyToken = options.token ?? options.getToken;
  const tokenUrl = options.tokenUrl ?? (anyToken ? undefined : "/socket_auth_token");
  const flow = connect({ ...options, tokenUrl, url });
  flow.onMessage((action, context) => {
    const { type, payload } = action;
    return messageHandler({ ...action, payload, id: type, data: payload, action: type, actionType: type }, context);
  });
  status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  return flow;
}
