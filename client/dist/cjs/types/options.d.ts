/**
 * What `connect()` takes: types only.
 */
import type { ActionHandler, ActionOf, PayloadHandler } from "./actions.js";
import type { MessageflowError } from "./codes.js";
import type { Recovery } from "./context.js";
import type { SocketClass } from "./platform.js";
import type { Since } from "./position.js";
import type { State, StateDetail } from "./state.js";
import type { PublicationHandler, SubscriptionOptions } from "./subscription.js";
import type { TokenOptions } from "./token.js";
/** @typeParam Pushes what may be pushed: payloads by type. */
export interface Options<Pushes extends object = Record<string, unknown>> extends TokenOptions {
    /** Where the gateway is. Default: where the script was loaded from, else where the page was. */
    url?: string | undefined;
    /** Called with every push to this user, or to all. */
    onMessage?: ActionHandler<ActionOf<Pushes>> | undefined;
    /** Handlers by type. */
    on?: {
        [Type in keyof Pushes]?: PayloadHandler<Pushes[Type]> | undefined;
    } | undefined;
    /** Channels to subscribe to, each with a handler or with options. */
    channels?: Record<string, PublicationHandler | SubscriptionOptions | undefined> | undefined;
    /** What `flow.position(user)` gave where the page was made: all that was pushed since arrives. */
    since?: Since | null | undefined;
    onState?: ((state: State, detail: StateDetail) => unknown) | undefined;
    onUnknown?: PublicationHandler | undefined;
    onRecovery?: ((recovery: Recovery) => unknown) | undefined;
    onError?: ((error: MessageflowError) => unknown) | undefined;
    /** Milliseconds an attempt to connect may be silent. Default 5000. */
    connectTimeout?: number | undefined;
    /** Milliseconds a command may wait for the connection and its reply. Default 10000. */
    commandTimeout?: number | undefined;
    /** A WebSocket class, where there is no global one. */
    WebSocket?: SocketClass | undefined;
}
