/**
 * The client as a page sees it: one connection, handlers by type, subscriptions, commands.
 *
 * Owns the wiring: what comes from the session goes to the streams, from them to the handlers. It must never decide
 * about reconnects, tokens or positions.
 */

import { type ActionHandler, type ActionOf, Actions, type PayloadHandler } from "./actions.js";
import { Channels } from "./channels.js";
import { ClientIds } from "./client-ids.js";
import { asError, CLOSED, FORCE_DISCONNECT, HANDLER_FAILED, logError, MessageflowError } from "./codes.js";
import type { Recovery } from "./context.js";
import { Emitter, type Off } from "./emitter.js";
import type { Options } from "./options.js";
import type { Platform } from "./platform.js";
import type { ClientInfo } from "./protocol.js";
import type { Call, CallOptions, Count, DataOf, EmitOptions, History, HistoryOptions, PublishOptions, ResultOf, Said } from "./requests.js";
import { checkChannel, refuseUnread, Requests } from "./requests.js";
import { Session } from "./connection-machine.js";
import type { State, StateDetail } from "./state.js";
import { type PublicationHandler, Subscription, type SubscriptionHost, type SubscriptionOptions } from "./subscription.js";
import { TokenSource } from "./token.js";
import { socketUrl } from "./url.js";
import { until } from "./wait.js";

const PERSONAL = "#";

/** Maps by name say what there is, as `messageflow types` writes them: payloads of pushes, data that `emit` takes, `{data, result}` of a call. */
export class Flow<Pushes extends object = Record<string, unknown>, Emits extends object = Record<string, unknown>, Calls extends object = Record<string, Call>> {
  readonly #session: Session;
  readonly #requests: Requests;
  readonly #actions: Actions;
  readonly #channels: Channels;
  readonly #clients = new ClientIds();
  readonly #host: SubscriptionHost;
  readonly #states: Emitter<[State, StateDetail]>;
  readonly #recoveries: Emitter<[Recovery]>;
  readonly #errors: Emitter<[MessageflowError]>;
  #user: string | undefined;
  #authenticated = false;
  #detail: StateDetail = { code: 0, reason: "" };
  #said = "";

  /** @internal */
  constructor(options: Options<Pushes>, platform: Platform, base: string | undefined) {
    refuseUnread(options);
    const url = socketUrl(options.url ?? base ?? "", base);
    this.#errors = new Emitter((error) => logError("onError failed:", error));
    this.#states = new Emitter(this.#report);
    this.#recoveries = new Emitter(this.#report);
    this.#actions = new Actions(this.#report);
    const { connectTimeout = 5000, commandTimeout = 10_000 } = options;
    const tokens = new TokenSource(platform, options);
    this.#session = new Session(platform, { url, connectTimeout, commandTimeout }, tokens, {
      onAccepted: ({ client, subs }, withToken) => {
        this.#clients.note(client);
        const personal = Object.keys(subs ?? {}).find((channel) => channel.startsWith(PERSONAL));
        this.#user = personal?.slice(PERSONAL.length);
        this.#authenticated = withToken || !!personal;
        this.#said = "";
      },
      onState: (state, detail) => {
        this.#detail = detail;
        if (state === "disconnected" && detail.code && !this.#states.size) this.#tellOfEnd(detail, tokens.given || detail.code === FORCE_DISCONNECT);
        this.#states.emit(state, detail);
      },
      onLink: () => this.#channels.request(),
      onLost: () => this.#channels.lose(),
      onSubs: (subs) => this.#channels.begin(subs),
      onPush: (push) =>
        push.message ? this.#actions.route(push.message.data, { channel: "", recovered: false }) : this.#channels.take(push),
      onInvalidate: () => this.#channels.invalidate(),
      onError: (error) => {
        // What is tried again and again is told to the console once.
        if (this.#errors.size || this.#said !== error.message) this.#report(error);
        this.#said = error.message;
      },
      resume: () => ({ subs: this.#channels.positions(), former: this.#clients.former }),
    });
    this.#requests = new Requests(this.#session.commands, () => platform.random());
    this.#channels = new Channels(platform, this.#session, options.since, {
      onPublication: (publication, context) => this.#actions.route(publication, context),
      onRecovery: (recovery) => this.#recoveries.emit(recovery),
      onError: this.#report,
    });
    this.#host = {
      platform,
      requests: this.#requests,
      commandTimeout,
      isOpen: () => this.state !== "disconnected",
      report: this.#report,
      hold: (holder, last) => this.#channels.hold(holder, last, this.state === "connected"),
    };
    this.#errors.on(options.onError);
    this.#states.on(options.onState);
    this.#recoveries.on(options.onRecovery);
    this.#actions.onMessage(options.onMessage as ActionHandler | undefined);
    this.#actions.onUnknown(options.onUnknown);
    for (const [type, handler] of Object.entries<PayloadHandler | undefined>(options.on ?? {})) {
      if (handler !== undefined) this.#actions.on(type, handler);
    }
    for (const [channel, given] of Object.entries(options.channels ?? {})) this.subscribe(channel, given);
    this.connect();
  }

  get state(): State {
    return this.#session.state;
  }

  /** Why the state is what it is. */
  get detail(): StateDetail {
    return this.#detail;
  }

  /** Whether the server has accepted who we are. */
  get authenticated(): boolean {
    return this.state === "connected" && this.#authenticated;
  }

  /** Who the server takes us for, when it gives us a personal channel. */
  get user(): string | undefined {
    return this.#user;
  }

  /** What the gateway calls this connection, or the last one, for the header `X-Messageflow-Client`; empty before the first. */
  get client(): string {
    return this.#clients.last;
  }

  /** Handle pushes of one type. */
  on<Type extends keyof Pushes & string>(type: Type, handler: PayloadHandler<Pushes[Type]>): Off;
  on<Payload>(type: string extends keyof Pushes ? string : never, handler: PayloadHandler<Payload>): Off;
  on(type: string, handler: PayloadHandler): Off {
    return this.#actions.on(type, handler);
  }

  /** Handle every push to this user, or to all. */
  onMessage(handler: ActionHandler<ActionOf<Pushes>>): Off {
    return this.#actions.onMessage(handler as ActionHandler);
  }

  /** Handle what has no handler of its own by `on()`. */
  onUnknown(handler: PublicationHandler): Off {
    return this.#actions.onUnknown(handler);
  }

  onState(handler: (state: State, detail: StateDetail) => unknown): Off {
    return this.#states.on(handler);
  }

  /** Learn after an absence, channel by channel, whether it was made up for; if not, fetch the state anew. */
  onRecovery(handler: (recovery: Recovery) => unknown): Off {
    return this.#recoveries.on(handler);
  }

  onError(handler: (error: MessageflowError) => unknown): Off {
    return this.#errors.on(handler);
  }

  /**
   * Subscribe to a channel. Each call holds it with handlers of its own, which its `unsubscribe()` takes back; however many hold it, the
   * server sees one subscription, which ends with the last. The token in use is that of whoever came last with one.
   */
  subscribe<Data = unknown>(channel: string, given: PublicationHandler<Data> | SubscriptionOptions<Data> = {}): Subscription<Data> {
    if (checkChannel(channel).startsWith(PERSONAL) || channel === "*") {
      throw new TypeError(`What is pushed to "${channel}" comes by itself; handle it with flow.on(type, handler).`);
    }
    const options = typeof given === "function" ? { onPublication: given } : given;
    if (!options || typeof options !== "object") {
      throw new TypeError("subscribe(channel, …) takes a function, or an object such as {onPublication(data) {…}}.");
    }
    refuseUnread(options);
    const subscription = new Subscription<Data>(this.#host, channel, options);
    subscription.subscribe();
    return subscription;
  }

  /** Publish to a channel; repeated, if the link dies meanwhile, with one key, so that it is stored once. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<void> {
    return this.#requests.publish(channel, data, options);
  }

  presence(channel: string): Promise<ClientInfo[]> {
    return this.#requests.presence(channel);
  }

  presenceStats(channel: string): Promise<Count> {
    return this.#requests.presenceStats(channel);
  }

  history<Data = unknown>(channel: string, options?: HistoryOptions): Promise<History<Data>> {
    return this.#requests.history<Data>(channel, options);
  }

  /** Tell the application: resolves when its `@flow.on(name)` has handled it, once, however often the link dies meanwhile. */
  emit<Name extends keyof Emits & string>(name: Name, ...[data, options]: Said<Emits[Name], EmitOptions>): Promise<void> {
    return this.#requests.emit(name, data, options);
  }

  /** Ask the application: resolves to what its `@flow.rpc(name)` returns. Not repeated when the link dies. */
  call<Result = unknown>(name: string extends keyof Calls ? string : never, data?: unknown, options?: CallOptions): Promise<Result>;
  call<Name extends keyof Calls & string>(name: Name, ...said: Said<DataOf<Calls[Name]>, CallOptions>): Promise<ResultOf<Calls[Name]>>;
  call(name: string, data?: unknown, options?: CallOptions): Promise<unknown> {
    return this.#requests.call(name, data, options);
  }

  /** `call` by its name in the protocol. */
  rpc<Result = unknown>(method: string, data?: unknown): Promise<Result> {
    return this.#requests.call(method, data) as Promise<Result>;
  }

  /** Connect after `close()`, or after the server has ended the connection. */
  connect(): void {
    this.#session.connect();
  }

  /** Start over at once with a new token: after a login or a logout. */
  reconnect(): void {
    this.#session.reconnect();
  }

  close(): void {
    this.#session.close();
  }

  /** Wait until connected; rejects when there will be no connection without a call of `connect()`. */
  ready(): Promise<void> {
    return until(this.#states, () => {
      const { code, reason } = this.#detail;
      if (this.state === "disconnected") return new MessageflowError(code || CLOSED, `Not connected: ${reason}.`);
      return this.state === "connected";
    });
  }

  /** The connection has ended for good, and nobody listens to states: tell those who listen to errors, or the console. */
  #tellOfEnd({ code, reason }: StateDetail, isKnown: boolean): void {
    const hint = code < 100 ? "" : isKnown ? "; the log of the gateway says why" : "; give tokenUrl, getToken or token";
    const message = `not connected (${code}), and not trying again: ${reason}${hint}`;
    if (this.#errors.size) this.#errors.emit(new MessageflowError(code, message));
    else logError(message);
  }

  readonly #report = (error: unknown): void => {
    const failure = asError(error, HANDLER_FAILED, "A handler failed: ");
    if (this.#errors.size) this.#errors.emit(failure);
    else logError(failure);
  };
}
