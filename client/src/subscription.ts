/**
 * A channel as a page sees it: handlers, and commands that belong to it.
 *
 * Owns the page's handlers. What state it is in, and why, is decided by `Subscribing`.
 */

import { type MessageflowError, CLOSED, MessageflowError as Failure } from "./codes.js";
import type { Context } from "./context.js";
import { watchCount } from "./count.js";
import { Emitter, type Off } from "./emitter.js";
import type { ClientInfo } from "./protocol.js";
import type { Count, History, HistoryOptions, Requests } from "./requests.js";
import { type Link, Subscribing, type SubscriptionState } from "./subscribing.js";
import type { TokenOptions } from "./token.js";
import type { World } from "./world.js";

export type PublicationHandler = (data: unknown, context: Context) => unknown;
export type InfoHandler = (info: ClientInfo) => unknown;
export type SubscriptionStateHandler = (state: SubscriptionState, detail: { code: number; reason: string }) => unknown;

export interface SubscriptionOptions extends TokenOptions {
  /** Sent along with the request to subscribe. */
  data?: unknown;
  onPublication?: PublicationHandler;
  onJoin?: InfoHandler;
  onLeave?: InfoHandler;
  onState?: SubscriptionStateHandler;
  /** After an absence: false means that publications may be missing. */
  onRecovery?: (recovered: boolean) => unknown;
  onError?: (error: MessageflowError) => unknown;
  onCount?: (count: Count) => unknown;
}

/** What a subscription needs of its flow. */
export interface Home {
  world: World;
  link: Link;
  requests: Requests;
  report(error: unknown): void;
  recovery(channel: string, recovered: boolean): void;
}

export class Subscription {
  /** @internal */
  readonly machine: Subscribing;
  readonly #home: Home;
  readonly #publication: Emitter<[unknown, Context]>;
  readonly #join: Emitter<[ClientInfo]>;
  readonly #leave: Emitter<[ClientInfo]>;
  readonly #state: Emitter<[SubscriptionState, { code: number; reason: string }]>;
  readonly #recovery: Emitter<[boolean]>;
  readonly #error: Emitter<[MessageflowError]>;

  /** @internal */
  constructor(home: Home, channel: string, options: SubscriptionOptions) {
    const { report } = home;
    this.#home = home;
    this.#publication = new Emitter(report);
    this.#join = new Emitter(report);
    this.#leave = new Emitter(report);
    this.#state = new Emitter(report);
    this.#recovery = new Emitter(report);
    this.#error = new Emitter(report);
    this.machine = new Subscribing(home.world, home.link, channel, options, {
      onPublication: (data, context) => this.#publication.emit(data, context),
      onState: (state, detail) => this.#state.emit(state, detail),
      onRecovery: (recovered) => {
        this.#recovery.emit(recovered);
        home.recovery(channel, recovered);
      },
      onError: (error) => (this.#error.size ? this.#error.emit(error) : report(error)),
    });
  }

  get channel(): string {
    return this.machine.channel;
  }

  get state(): SubscriptionState {
    return this.machine.state;
  }

  /** Subscribe again after `unsubscribe()`, or after the server ended the subscription. */
  subscribe(): void {
    this.machine.start();
  }

  /** Leave the channel. Handlers stay; `subscribe()` comes back, and resumes where it left if the channel can. */
  unsubscribe(): void {
    this.machine.stop();
  }

  onPublication(handler: PublicationHandler): Off {
    return this.#publication.on(handler);
  }

  onJoin(handler: InfoHandler): Off {
    this.machine.watch();
    return this.#join.on(handler);
  }

  onLeave(handler: InfoHandler): Off {
    this.machine.watch();
    return this.#leave.on(handler);
  }

  onState(handler: SubscriptionStateHandler): Off {
    return this.#state.on(handler);
  }

  onRecovery(handler: (recovered: boolean) => unknown): Off {
    return this.#recovery.on(handler);
  }

  onError(handler: (error: MessageflowError) => unknown): Off {
    return this.#error.on(handler);
  }

  /** Tell the number of connections and of people here, now and whenever it changes. */
  onCount(handler: (count: Count) => unknown): Off {
    return watchCount(this, this.#home.world, this.#home.report, handler);
  }

  async publish(data: unknown): Promise<void> {
    await this.ready();
    return this.#home.requests.publish(this.channel, data);
  }

  async presence(): Promise<ClientInfo[]> {
    await this.ready();
    return this.#home.requests.presence(this.channel);
  }

  async presenceStats(): Promise<Count> {
    await this.ready();
    return this.#home.requests.presenceStats(this.channel);
  }

  async history(options?: HistoryOptions): Promise<History> {
    await this.ready();
    return this.#home.requests.history(this.channel, options);
  }

  /** Wait until subscribed; rejects if that is refused or given up. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (state: SubscriptionState, reason: string): boolean => {
        if (state === "subscribed") resolve();
        else if (state === "unsubscribed") reject(new Failure(CLOSED, `Not subscribed to ${this.channel}: ${reason}.`));
        return state !== "subscribing";
      };
      if (settle(this.state, "unsubscribed")) return;
      const off = this.onState((state, { reason }) => settle(state, reason) && off());
    });
  }

  /** @internal */
  add(options: SubscriptionOptions): void {
    this.#publication.on(options.onPublication);
    this.#state.on(options.onState);
    this.#recovery.on(options.onRecovery);
    this.#error.on(options.onError);
    if (options.onJoin) this.onJoin(options.onJoin);
    if (options.onLeave) this.onLeave(options.onLeave);
    if (options.onCount) this.onCount(options.onCount);
  }

  /** @internal */
  joined(info: ClientInfo): void {
    this.#join.emit(info);
  }

  /** @internal */
  left(info: ClientInfo): void {
    this.#leave.emit(info);
  }
}
