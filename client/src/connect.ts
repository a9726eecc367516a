/**
 * The ways in: `connect`, and `createSocket` as the ancestors called it.
 *
 * Owns the choice of the platform, of the default address, and of what the script tag says for all that pages leave out.
 */

import type { Action, ActionHandler } from "./actions.js";
import { checkFunction } from "./codes.js";
import { Flow } from "./flow.js";
import type { Options } from "./options.js";
import { browserPlatform } from "./platform.js";
import type { Since } from "./position.js";
import type { Call } from "./requests.js";
import { status } from "./status-indicator.js";

let base: string | undefined;

/** Tell where the script came from; for the entry that is a script tag. Its path is kept: a proxy may have put one before. */
export function setBase(url: string | undefined): void {
  base = url?.match(/https?:[^?#]*\//)?.[0];
}

let tokenUrl: string | undefined;
let since: Since | undefined;

/**
 * Take what the script tag says, which needs no script of the page and so no nonce: `data-token-url`, and `data-since`, where
 * the first connection begins.
 */
export function setDefaults(said: { tokenUrl?: string; since?: string }): void {
  tokenUrl = said.tokenUrl;
  try {
    since = said.since ? (JSON.parse(said.since) as Since) : undefined;
  } catch {
    throw new TypeError("data-since of the script tag is no JSON: write what flow.position(user) gave.");
  }
}

/** What the page left out: a way to a token where it has none of its own, and where it begins, once. */
function fillIn<Pushes extends object>(options: Options<Pushes>): Options<Pushes> {
  const filled = { tokenUrl: (options.token ?? options.getToken) ? undefined : tokenUrl, since, ...options };
  since = undefined;
  return filled;
}

/**
 * Open a connection that keeps itself alive.
 *
 * Two signatures, so that what may be pushed is what the page says and never only what `on` happens to handle.
 *
 * @typeParam Pushes what may be pushed: payloads by type; `Emits` and `Calls` as of `Flow`.
 */
export function connect(options?: Options): Flow;
export function connect<
  Pushes extends object, Emits extends object = Record<string, unknown>, Calls extends object = Record<string, Call>,
>(options?: Options<Pushes>): Flow<Pushes, Emits, Calls>;
export function connect<Pushes extends object>(options: Options<Pushes> = {}): Flow<Pushes> {
  if (!options || typeof options !== "object") {
    throw new TypeError('connect() takes an object, such as {tokenUrl: "/token", onMessage(action) {…}}.');
  }
  const page = globalThis.location?.href.replace(/^blob:/, ""); // of a worker that was made of a text
  const url = options.url ?? base ?? (page && new URL(page).origin);
  if (!url) throw new TypeError('There is no page to connect back to; give url.');
  return new Flow<Pushes>({ ...fillIn(options), url }, browserPlatform(options.WebSocket), page);
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
  checkFunction("createSocket(url, messageHandler): messageHandler", messageHandler);
  const anyToken = options.token ?? options.getToken;
  const from = options.tokenUrl ?? (anyToken ? undefined : (tokenUrl ?? "/socket_auth_token"));
  const flow = connect({ ...options, tokenUrl: from, url });
  flow.onMessage((action, context) => {
    const { type, payload } = action;
    return messageHandler({ ...action, payload, id: type, data: payload, action: type, actionType: type }, context);
  });
  status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  return flow;
}
