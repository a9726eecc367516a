/**
 * A channel as a page sees it: handlers, and commands that belong to it.
 *
 * Owns the handlers of one who holds the channel. What state the channel is in, and why, is decided by `SubscriptionMachine`,
 * which all who hold it share.
 */

import { MessageflowError, TIMEOUT, UNSUBSCRIBED } from "./codes.js";
import type { Context } from "./context.js";
import { Emitter, type Off } from "./emitter.js";
import type { Platform } from "./platform.js";
import { watchPresenceCount } from "./presence-count.js";
import type { ClientInfo } from "./protocol.js";
import type { Count, History, HistoryOptions, PublishOptions, Requests } from "./requests.js";
import type { Holder, SharedSubscription } from "./shared-subscription.js";
import { type GetState, Snapshot } from "./snapshot.js";
import type { Detail, SubscriptionState } from "./state.js";
import { type TokenOptions, TokenSource } from "./token.js";
import { type Limit, until } from "./wait.js";

export type PublicationHandler<Data = unknown> = { handle(data: Data, context: Context): unknown }["handle"];
export type InfoHandler = (info: ClientInfo) => unknown;
export type SubscriptionStateHandler = (state: SubscriptionState, detail: Detail) => unknown;

export interface SubscriptionOptions<Data = unknown> extends TokenOptions {
  onPublication?: PublicationHandler<Data> | undefined;
  /** Fetches state that the application owns: at first, and whenever publications were missed that nothing else makes up for. */
  getState?: GetState | undefined;
  onJoin?: InfoHandler | undefined;
  onLeave?: InfoHandler | undefined;
  onState?: SubscriptionStateHandler | undefined;
  /** After an absence: false means that publications may be missing. */
  onRecovery?: ((recovered: boolean) => unknown) | undefined;
  onError?: ((error: MessageflowError) => unknown) | undefined;
  onCount?: ((count: Count) => unknown) | undefined;
}

/** What a subscription needs of its flow. */
export interface SubscriptionHost {
  platform: Platform;
  requests: Requests;
  /** Milliseconds a command may wait for the subscription. */
  commandTimeout: number;
  /** Whether there is, or will be, a connection. */
  isOpen(): boolean;
  report(error: unknown): void;
  hold(holder: Holder, last: SharedSubscription | undefined): SharedSubscription;
}

const LEFT = { code: 0, reason: "unsubscribed by the page" };

/** @typeParam Data what is published in the channel. */
export class Subscription<Data = unknown> {
  readonly channel: string;
  readonly #host: SubscriptionHost;
  readonly #holder: Holder;
  readonly #publication: Emitter<[unknown, Context]>;
  readonly #join: Emitter<[ClientInfo]>;
  readonly #leave: Emitter<[ClientInfo]>;
  readonly #state: Emitter<[SubscriptionState, Detail]>;
  readonly #recovery: Emitter<[boolean]>;
  readonly #error: Emitter<[MessageflowError]>;
  readonly #snapshot: Snapshot | undefined;
  /** What is held, or was held last. */
  #shared: SharedSubscription | undefined;
  #held = false;
  #leftAt: string | undefined;

  /** @internal */
  constructor(host: SubscriptionHost, channel: string, options: SubscriptionOptions<Data>) {
    const { report } = host;
    this.channel = channel;
    this.#host = host;
    this.#publication = new Emitter(report);
    this.#join = new Emitter(report);
    this.#leave = new Emitter(report);
    this.#state = new Emitter(report);
    this.#recovery = new Emitter(report);
    this.#error = new Emitter(report);
    if (options.getState) this.#snapshot = this.#own(options.getState);
    this.#holder = this.#hold(new TokenSource(host.platform, options));
    this.#publication.on(options.onPublication as PublicationHandler | undefined);
    this.#join.on(options.onJoin);
    this.#leave.on(options.onLeave);
    this.#state.on(options.onState);
    this.#recovery.on(options.onRecovery);
    this.#error.on(options.onError);
    if (options.onCount) this.onCount(options.onCount);
  }

  get state(): SubscriptionState {
    return (this.#held && this.#shared?.machine.state) || "unsubscribed";
  }

  /** Why the state is what it is. */
  get detail(): Detail {
    return (this.#held && this.#shared?.machine.detail) || LEFT;
  }

  /** Subscribe again after `unsubscribe()`, or after the server ended the subscription. */
  subscribe(): void {
    if (this.#held) return this.#shared?.restart();
    const before = this.#shared;
    const shared = (this.#shared = this.#host.hold(this.#holder, before));
    const position = shared.positionKey;
    this.#held = true;
    // Others went on meanwhile: what they got since is not to be had again. One that was left by all tells by itself.
    if (before && (position ? position !== this.#leftAt : shared.isHeld || shared !== before)) this.#recover(false);
    shared.hold(this.#holder);
  }

  /**
   * Let the channel go: no handler given here is called any more, and when nobody else in the page holds the channel, it
   * is left. Handlers stay with this subscription; `subscribe()` comes back, and resumes where it left if the channel can.
   */
  unsubscribe(): void {
    if (!this.#held) return;
    const was = this.state;
    this.#held = false;
    this.#leftAt = this.#shared?.positionKey;
    this.#shared?.release(this.#holder);
    if (was !== "unsubscribed") this.#state.emit("unsubscribed", LEFT);
  }

  onPublication(handler: PublicationHandler<Data>): Off {
    return this.#publication.on(handler as PublicationHandler);
  }

  onJoin(handler: InfoHandler): Off {
    return this.#watch(this.#join.on(handler));
  }

  onLeave(handler: InfoHandler): Off {
    return this.#watch(this.#leave.on(handler));
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
    return watchPresenceCount(this, this.#host.platform, this.#host.report, handler);
  }

  publish(data: Data, options?: PublishOptions): Promise<void> {
    return this.#command((requests) => requests.publish(this.channel, data, options));
  }

  presence(): Promise<ClientInfo[]> {
    return this.#command((requests) => requests.presence(this.channel));
  }

  presenceStats(): Promise<Count> {
    return this.#command((requests) => requests.presenceStats(this.channel));
  }

  history(options?: HistoryOptions): Promise<History<Data>> {
    return this.#command((requests) => requests.history<Data>(this.channel, options));
  }

  /** Wait until subscribed; rejects if that is refused or given up. */
  ready(): Promise<void> {
    return this.#ready();
  }

  #ready(limit?: Limit): Promise<void> {
    const verdict = (): boolean | MessageflowError => {
      const { state, detail } = this;
      if (state !== "unsubscribed") return state === "subscribed";
      return new MessageflowError(detail.code || UNSUBSCRIBED, `Not subscribed to ${this.channel}: ${detail.reason}.`);
    };
    return until(this.#state, verdict, limit);
  }

  /** Commands about a channel wait for its subscription: often it is what gives the right to them. */
  async #command<T>(issue: (requests: Requests) => Promise<T>): Promise<T> {
    const { platform, requests, commandTimeout: ms } = this.#host;
    if (this.#host.isOpen()) {
      const late = (): Error =>
        new MessageflowError(TIMEOUT, `Not subscribed to ${this.channel} within ${ms} ms.`, true);
      await this.#ready({ platform, ms, late });
    }
    return issue(requests);
  }

  #watch(off: Off): Off {
    if (this.#held) this.#shared?.machine.watch();
    return off;
  }

  /** @returns whether what was missed comes all the same. */
  #recover(recovered: boolean): boolean {
    const snapshot = this.#snapshot;
    if (recovered || !snapshot) this.#recovery.emit(recovered);
    else snapshot.renew(this.state);
    return !!snapshot;
  }

  /** Fetch the state of the channel whenever the stream goes on without it. */
  #own(getState: GetState): Snapshot {
    const snapshot = new Snapshot(this.#host.platform, getState, {
      channel: this.channel,
      resume: () => this.#shared?.machine.resume() ?? {},
      deliver: (...args) => this.#held && this.#publication.emit(...args),
      onError: (error) => this.#holder.onError(error) || this.#host.report(error),
    });
    this.#state.on((state) => snapshot.attend(state));
    return snapshot;
  }

  /** What the channel's shared subscription sees of this one: only as long as it is held. */
  #hold(tokens: TokenSource): Holder {
    const join = this.#join;
    const leave = this.#leave;
    const snapshot = this.#snapshot;
    const when = <Args extends unknown[]>(emitter: Emitter<Args>) => (...args: Args): void => {
      if (this.#held) emitter.emit(...args);
    };
    return {
      channel: this.channel,
      tokens,
      get watches() {
        return join.size + leave.size > 0;
      },
      onPublication: snapshot ? (...args) => snapshot.take(...args) : when(this.#publication),
      onJoin: when(join),
      onLeave: when(leave),
      onState: when(this.#state),
      onRecovery: (recovered) => !this.#held || this.#recover(recovered),
      onError: (error) => {
        when(this.#error)(error);
        return this.#held && this.#error.size > 0;
      },
    };
  }
}
