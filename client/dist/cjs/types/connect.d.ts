/**
 * The ways in: `connect`, and `createSocket` as the ancestors called it.
 *
 * Owns the choice of the platform, of the default address, and of what the script tag says for all that pages leave out.
 */
import type { Action, ActionHandler } from "./actions.js";
import { Flow } from "./flow.js";
import type { Options } from "./options.js";
import type { Call } from "./requests.js";
/** Tell where the script came from; for the entry that is a script tag. Its path is kept: a proxy may have put one before. */
export declare function setBase(url: string | undefined): void;
/**
 * Take what the script tag says, which needs no script of the page and so no nonce: `data-token-url`, and `data-since`, where
 * the first connection begins.
 */
export declare function setDefaults(said: {
    tokenUrl?: string;
    since?: string;
}): void;
/**
 * Open a connection that keeps itself alive.
 *
 * Two signatures, so that what may be pushed is what the page says and never only what `on` happens to handle.
 *
 * @typeParam Pushes what may be pushed: payloads by type; `Emits` and `Calls` as of `Flow`.
 */
export declare function connect(options?: Options): Flow;
export declare function connect<Pushes extends object, Emits extends object = Record<string, unknown>, Calls extends object = Record<string, Call>>(options?: Options<Pushes>): Flow<Pushes, Emits, Calls>;
/** An action under all the names it had: `id` and `data`, `action` and `payload`, `actionType`, `type`. */
export type LegacyAction = Action & {
    id: string;
    data: unknown;
    action: string;
    actionType: string;
};
/**
 * The call of message_flow: `createSocket(url, messageHandler)`.
 *
 * The token comes from `/socket_auth_token` unless options say otherwise; `#connected`, `#authenticated` and
 * `#websocketStatus` are kept up to date when the page has them.
 */
export declare function createSocket(url: string, messageHandler: ActionHandler<LegacyAction>, options?: Options): Flow;
