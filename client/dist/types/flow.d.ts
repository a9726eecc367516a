/**
 * The client as a page sees it: one connection, handlers by type, subscriptions, commands.
 *
 * Owns the wiring: what comes from the session goes to the streams, from them to the handlers. It must never decide
 * about reconnects, tokens or positions.
 */
import { type ActionHandler, type ActionOf, type PayloadHandler } from "./actions.js";
import { MessageflowError } from "./codes.js";
import type { Recovery } from "./context.js";
import { type Off } from "./emitter.js";
import type { ClientInfo } from "./protocol.js";
import type { Call, CallOptions, Count, DataOf, EmitOptions, History, HistoryOptions, PublishOptions, ResultOf, Said } from "./requests.js";
import type { State, StateDetail } from "./state.js";
import { type PublicationHandler, Subscription, type SubscriptionOptions } from "./subscription.js";
/** Maps by name say what there is, as `messageflow types` writes them: payloads of pushes, data that `emit` takes, `{data, result}` of a call. */
export declare class Flow<Pushes extends object = Record<string, unknown>, Emits extends object = Record<string, unknown>, Calls extends object = Record<string, Call>> {
    #private;
    get state(): State;
    /** Why the state is what it is. */
    get detail(): StateDetail;
    /** Whether the server has accepted who we are. */
    get authenticated(): boolean;
    /** Who the server takes us for, when it gives us a personal channel. */
    get user(): string | undefined;
    /** What the gateway calls this connection, or the last one, for the header `X-Messageflow-Client`; empty before the first. */
    get client(): string;
    /** Handle pushes of one type. */
    on<Type extends keyof Pushes & string>(type: Type, handler: PayloadHandler<Pushes[Type]>): Off;
    on<Payload>(type: string extends keyof Pushes ? string : never, handler: PayloadHandler<Payload>): Off;
    /** Handle every push to this user, or to all. */
    onMessage(handler: ActionHandler<ActionOf<Pushes>>): Off;
    /** Handle what has no handler of its own by `on()`. */
    onUnknown(handler: PublicationHandler): Off;
    onState(handler: (state: State, detail: StateDetail) => unknown): Off;
    /** Learn after an absence, channel by channel, whether it was made up for; if not, fetch the state anew. */
    onRecovery(handler: (recovery: Recovery) => unknown): Off;
    onError(handler: (error: MessageflowError) => unknown): Off;
    /**
     * Subscribe to a channel. Each call holds it with handlers of its own, which its `unsubscribe()` takes back; however many hold it, the
     * server sees one subscription, which ends with the last. The token in use is that of whoever came last with one.
     */
    subscribe<Data = unknown>(channel: string, given?: PublicationHandler<Data> | SubscriptionOptions<Data>): Subscription<Data>;
    /** Publish to a channel; repeated, if the link dies meanwhile, with one key, so that it is stored once. */
    publish(channel: string, data: unknown, options?: PublishOptions): Promise<void>;
    presence(channel: string): Promise<ClientInfo[]>;
    presenceStats(channel: string): Promise<Count>;
    history<Data = unknown>(channel: string, options?: HistoryOptions): Promise<History<Data>>;
    /** Tell the application: resolves when its `@flow.on(name)` has handled it, once, however often the link dies meanwhile. */
    emit<Name extends keyof Emits & string>(name: Name, ...[data, options]: Said<Emits[Name], EmitOptions>): Promise<void>;
    /** Ask the application: resolves to what its `@flow.rpc(name)` returns. Not repeated when the link dies. */
    call<Result = unknown>(name: string extends keyof Calls ? string : never, data?: unknown, options?: CallOptions): Promise<Result>;
    call<Name extends keyof Calls & string>(name: Name, ...said: Said<DataOf<Calls[Name]>, CallOptions>): Promise<ResultOf<Calls[Name]>>;
    /** `call` by its name in the protocol. */
    rpc<Result = unknown>(method: string, data?: unknown): Promise<Result>;
    /** Connect after `close()`, or after the server has ended the connection. */
    connect(): void;
    /** Start over at once with a new token: after a login or a logout. */
    reconnect(): void;
    close(): void;
    /** Wait until connected; rejects when there will be no connection without a call of `connect()`. */
    ready(): Promise<void>;
}
