/**
 * A channel as a page sees it: handlers, and commands that belong to it.
 *
 * Owns the page's handlers. What state it is in, and why, is decided by `Subscribing`.
 */

import { MessageflowError, TIMEOUT, UNSUBSCRIBED } from "./codes.js";
import type { Context } from "./context.js";
import { watchCount } from "./count.js";
import { Emitter, type Off } from "./emitter.js";
import type { ClientInfo } from "./protocol.js";
import type { Count, History, HistoryOptions, Requests } from "./requests.js";
import type { Detail, State, SubscriptionState } from "./state.js";
import { type Link, Subscribing } from "./subscribing.js";
import type { TokenOptions } from "./token.js";
import { inTime, until } from "./wait.js";
import type { World } from "./world.js";

export type PublicationHandler = (data: unknown, context: Context) => unknown;
export type InfoHandler = (info: ClientInfo) => unknown;
export type SubscriptionStateHandler = (state: SubscriptionState, detail: Detail) => unknown;

export interface SubscriptionOptions extends TokenOptions {
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
  link: Link & { readonly state: State };
  requests: Requests;
  /** Milliseconds a command may wait for the subscription. */
  commandTimeout: number;
  report(error: unknown): void;
  recovery(recovered: boolean): void;
}

export class Subscription {
  /** @internal */
  readonly machine: Subscribing;
  readonly #home: Home;
  readonly #publication: Emitter<[unknown, Context]>;
  readonly #join: Emitter<[ClientInfo]>;
  readonly #leave: Emitter<[ClientInfo]>;
  readonly #state: Emitter<[SubscriptionState, Detail]>;
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
        home.recovery(recovered);
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

  /** Why the state is what it is. */
  get detail(): Detail {
    return this.machine.detail;
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

  publish(data: unknown): Promise<void> {
    return this.#command((requests) => requests.publish(this.channel, data));
  }

  presence(): Promise<ClientInfo[]> {
    return this.#command((requests) => requests.presence(this.channel));
  }

  presenceStats(): Promise<Count> {
    return this.#command((requests) => requests.presenceStats(this.channel));
  }

  history(options?: HistoryOptions): Promise<History> {
    return this.#command((requests) => requests.history(this.channel, options));
  }

  /** Wait until subscribed; rejects if that is refused or given up. */
  ready(): Promise<void> {
    return until(this.#state, () => {
      const { state, detail } = this.machine;
      if (state !== "unsubscribed") return state === "subscribed";
      return new MessageflowError(detail.code || UNSUBSCRIBED, `Not subscribed to ${this.channel}: ${detail.reason}.`);
    });
  }

  /** Commands about a channel wait for its subscription: often it is what gives the right to them. */
  async #command<T>(issue: (requests: Requests) => Promise<T>): Promise<T> {
    const { world, link, requests, commandTimeout } = this.#home;
    if (link.state !== "disconnected") {
      const late = (): Error =>
        new MessageflowError(TIMEOUT, `Not subscribed to ${this.channel} within ${commandTimeout} ms.`, true);
      await inTime(world, this.ready(), commandTimeout, late);
    }
    return issue(requests);
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
