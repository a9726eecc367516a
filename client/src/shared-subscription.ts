/**
 * One channel's subscription, shared by all in the page who hold it.
 *
 * Owns who holds it: events go to each, the newest token is the one in use, and when the last has gone the channel is
 * left. It must never keep anything of a holder who has let go.
 */

import type { MessageflowError } from "./codes.js";
import type { Context } from "./context.js";
import type { Platform } from "./platform.js";
import type { ClientInfo } from "./protocol.js";
import type { Connection, Detail, SubscriptionState } from "./state.js";
import { SubscriptionMachine } from "./subscription-machine.js";
import type { TokenSource } from "./token.js";

/** Somebody in the page who wants the channel. */
export interface Holder {
  readonly channel: string;
  readonly tokens: TokenSource;
  /** Whether joins and leaves are of interest. */
  readonly watches: boolean;
  onPublication(data: unknown, context: Context): void;
  onJoin(info: ClientInfo): void;
  onLeave(info: ClientInfo): void;
  onState(state: SubscriptionState, detail: Detail): void;
  /** @returns whether it makes up itself for what was missed. */
  onRecovery(recovered: boolean): boolean;
  /** @returns whether anybody was told. */
  onError(error: MessageflowError): boolean;
}

export interface SharedSubscriptionEvents {
  onRecovery(recovered: boolean): void;
  /** An error that no holder wants to know of. */
  onError(error: MessageflowError): void;
  /** The last holder has gone, and nobody came in the same tick. */
  onEmpty(): void;
}

export class SharedSubscription {
  readonly machine: SubscriptionMachine;
  readonly #events: SharedSubscriptionEvents;
  #holders: readonly Holder[] = [];

  constructor(platform: Platform, connection: Connection, channel: string, tokens: TokenSource, events: SharedSubscriptionEvents) {
    this.#events = events;
    this.machine = new SubscriptionMachine(platform, connection, channel, tokens, {
      watched: () => this.#holders.some(({ watches }) => watches),
      onPublication: (data, context) => this.#each((holder) => holder.onPublication(data, context)),
      onState: (state, detail) => this.#each((holder) => holder.onState(state, detail)),
      onRecovery: (recovered) => {
        let whole = true;
        this.#each((holder) => (whole = holder.onRecovery(recovered) && whole));
        if (recovered || !whole) events.onRecovery(recovered);
      },
      onError: (error) => {
        let told = false;
        this.#each((holder) => (told = holder.onError(error) || told));
        if (!told) events.onError(error);
      },
    });
  }

  get isHeld(): boolean {
    return this.#holders.length > 0;
  }

  /** Where its stream stands, to be compared; undefined where it cannot be known. */
  get positionKey(): string | undefined {
    const { epoch, offset } = this.machine.resume();
    return epoch && `${offset} ${epoch}`;
  }

  /** Count somebody in, and subscribe if that is not so already. */
  hold(holder: Holder): void {
    const { machine } = this;
    const running = machine.state !== "unsubscribed";
    this.#holders = [...this.#holders, holder];
    this.#choose();
    if (running) holder.onState(machine.state, machine.detail);
    else this.restart();
    if (holder.watches) machine.watch();
  }

  /** Subscribe again after the server has ended it. */
  restart(): void {
    this.machine.start();
    // So that handlers added in this tick say whether joins are wanted, and who leaves again in it asks for nothing.
    queueMicrotask(() => this.isHeld && this.machine.request());
  }

  /** Count somebody out. Who comes in the same tick, as when a page draws itself anew, finds all as it was. */
  release(holder: Holder): void {
    this.#holders = this.#holders.filter((other) => other !== holder);
    if (this.isHeld) this.#choose();
    else queueMicrotask(() => this.isHeld || this.#events.onEmpty());
  }

  joined(info: ClientInfo): void {
    this.#each((holder) => holder.onJoin(info));
  }

  left(info: ClientInfo): void {
    this.#each((holder) => holder.onLeave(info));
  }

  /** Use the token, or the way to one, of whoever came last with one. */
  #choose(): void {
    const holder = this.#holders.filter(({ tokens }) => tokens.given).at(-1) ?? this.#holders[0];
    if (holder) this.machine.use(holder.tokens);
  }

  #each(action: (holder: Holder) => unknown): void {
    this.#holders.forEach(action);
  }
}
