/**
 * All channels of a flow: those the server subscribed us to, and those the page asked for.
 *
 * Owns the two registries and who gets a push. Names are keys of Maps. It must never send anything itself.
 */

import type { Context, Recovery } from "./context.js";
import type { Push, SubscribeResult } from "./protocol.js";
import { Stream } from "./stream.js";
import { type Home, Subscription, type SubscriptionOptions } from "./subscription.js";

export interface ChannelsEvents {
  /** A publication of a channel that the page has not subscribed to itself. */
  onPublication(data: unknown, context: Context): void;
  onRecovery(recovery: Recovery): void;
}

export class Channels {
  readonly #home: Omit<Home, "recovery">;
  readonly #events: ChannelsEvents;
  readonly #streams = new Map<string, Stream>();
  readonly #subscriptions = new Map<string, Subscription>();

  constructor(home: Omit<Home, "recovery">, events: ChannelsEvents) {
    this.#home = home;
    this.#events = events;
  }

  subscribe(channel: string, options: SubscriptionOptions, live: boolean): Subscription {
    let subscription = this.#subscriptions.get(channel);
    if (!subscription) {
      const recovery = (recovered: boolean): void => this.#events.onRecovery({ channel, recovered });
      subscription = new Subscription({ ...this.#home, recovery }, channel, options);
      this.#subscriptions.set(channel, subscription);
    }
    subscription.add(options);
    const stream = this.#streams.get(channel);
    if (stream) subscription.machine.inherit(stream, live);
    this.#streams.delete(channel);
    subscription.subscribe();
    return subscription;
  }

  /** The link is open: every subscription that is wanted may ask. */
  request(): void {
    this.#each(({ machine }) => machine.request());
  }

  /** The link is gone. */
  lose(): void {
    this.#each(({ machine }) => machine.lose());
  }

  /** Tokens and positions are void. */
  invalidate(): void {
    this.#streams.forEach((stream) => stream.drop());
    this.#each(({ machine }) => machine.invalidate());
  }

  /** Where to resume what the server subscribes us to, for `connect.subs`. */
  positions(): Record<string, object> | undefined {
    const positions: [string, object][] = [...this.#streams].map(([channel, stream]) => [channel, stream.resume()]);
    this.#each(({ channel, machine }) => machine.given && positions.push([channel, machine.resume()]));
    // fromEntries defines, where an assignment to `__proto__` would not.
    return positions.length ? Object.fromEntries(positions) : undefined;
  }

  /** Go live on what the server subscribed us to by itself when it accepted the connection. */
  begin(subs: Record<string, SubscribeResult>): void {
    const given = new Map(Object.entries(subs));
    for (const channel of this.#streams.keys()) if (!given.has(channel)) this.#streams.delete(channel);
    this.#each(({ channel, machine }) => machine.given && !given.has(channel) && machine.ungive());
    given.forEach((result, channel) => this.#give(channel, result));
  }

  take(push: Push): void {
    const channel = push.channel ?? "";
    const subscription = this.#subscriptions.get(channel);
    const stream = this.#streams.get(channel);
    if (push.pub) (stream ?? subscription?.machine)?.push(push.pub);
    else if (push.join) subscription?.joined(push.join.info);
    else if (push.leave) subscription?.left(push.leave.info);
    else if (push.subscribe) this.#give(channel, push.subscribe);
    else if (push.unsubscribe && !this.#streams.delete(channel)) {
      subscription?.machine.end(push.unsubscribe.code ?? 0, push.unsubscribe.reason ?? "");
    }
  }

  #give(channel: string, result: SubscribeResult): void {
    const subscription = this.#subscriptions.get(channel);
    if (subscription && subscription.state !== "unsubscribed") return subscription.machine.give(result);
    let stream = this.#streams.get(channel);
    if (!stream) {
      const { onPublication, onRecovery } = this.#events;
      stream = new Stream(channel, { onPublication, onRecovery: (recovered) => onRecovery({ channel, recovered }) });
      this.#streams.set(channel, stream);
    }
    stream.begin(result);
  }

  #each(action: (subscription: Subscription) => unknown): void {
    [...this.#subscriptions.values()].forEach(action);
  }
}
