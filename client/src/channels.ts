/**
 * All channels of a flow: those the server subscribed us to, and those the page asked for.
 *
 * Owns the two registries and who gets a push. Names are keys of Maps. It must never send anything itself.
 */

import type { MessageflowError } from "./codes.js";
import type { Context, Recovery } from "./context.js";
import type { Platform } from "./platform.js";
import type { Since } from "./position.js";
import type { Push, SubscribeResult } from "./protocol.js";
import { type Holder, SharedSubscription } from "./shared-subscription.js";
import type { Connection } from "./state.js";
import { Stream } from "./stream.js";

export interface ChannelsEvents {
  /** A publication of a channel that the page has not subscribed to itself. */
  onPublication(data: unknown, context: Context): void;
  onRecovery(recovery: Recovery): void;
  onError(error: MessageflowError): void;
}

export class Channels {
  readonly #platform: Platform;
  readonly #connection: Connection;
  readonly #events: ChannelsEvents;
  readonly #streams = new Map<string, Stream>();
  readonly #shared = new Map<string, SharedSubscription>();
  /** Those that were left, by whoever may come back; void when positions are. */
  #left = new WeakSet<SharedSubscription>();

  constructor(platform: Platform, connection: Connection, since: Since | null | undefined, events: ChannelsEvents) {
    this.#platform = platform;
    this.#connection = connection;
    this.#events = events;
    // null is of an application that could not ask
    for (const [channel, position] of Object.entries(since ?? {})) this.#adopt(channel, new Stream(channel, position));
  }

  /**
   * Count somebody in.
   *
   * @param last what they held before: where nobody else holds the channel, it goes on from there.
   * @param live whether the connection stands.
   */
  hold(holder: Holder, last: SharedSubscription | undefined, live: boolean): SharedSubscription {
    const { channel } = holder;
    let shared = this.#shared.get(channel);
    if (!shared) {
      shared = last && this.#left.has(last) ? last : this.#share(holder);
      this.#shared.set(channel, shared);
    }
    const stream = this.#streams.get(channel);
    if (stream) shared.machine.inherit(stream, live);
    this.#streams.delete(channel);
    return shared;
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
    this.#left = new WeakSet();
    this.#streams.forEach((stream) => stream.drop());
    this.#each(({ machine }) => machine.invalidate());
  }

  /** Where to resume what the server subscribes us to, for `connect.subs`. */
  positions(): Record<string, object> | undefined {
    const positions: [string, object][] = [...this.#streams].map(([channel, stream]) => [channel, stream.resume()]);
    this.#each(({ machine }) => machine.isServerSide && positions.push([machine.channel, machine.resume()]));
    // fromEntries defines, where an assignment to `__proto__` would not.
    return positions.length ? Object.fromEntries(positions) : undefined;
  }

  /** Go live on what the server subscribed us to by itself when it accepted the connection. */
  begin(subs: Record<string, SubscribeResult>): void {
    const given = new Map(Object.entries(subs));
    for (const channel of this.#streams.keys()) if (!given.has(channel)) this.#streams.delete(channel);
    this.#each(({ machine }) => machine.isServerSide && !given.has(machine.channel) && machine.becomeClientSide());
    given.forEach((result, channel) => this.#takeServerSide(channel, result));
  }

  take(push: Push): void {
    const channel = push.channel ?? "";
    const shared = this.#shared.get(channel);
    const stream = this.#streams.get(channel);
    if (push.pub ?? push.moved) (stream ?? shared?.machine)?.push(push);
    else if (push.join) shared?.joined(push.join.info);
    else if (push.leave) shared?.left(push.leave.info);
    else if (push.subscribe) this.#takeServerSide(channel, push.subscribe);
    else if (push.unsubscribe && !this.#streams.delete(channel)) {
      shared?.machine.end(push.unsubscribe.code ?? 0, push.unsubscribe.reason ?? "");
    }
  }

  #share({ channel, tokens }: Holder): SharedSubscription {
    const shared: SharedSubscription = new SharedSubscription(this.#platform, this.#connection, channel, tokens, {
      onRecovery: (recovered) => this.#events.onRecovery({ channel, recovered }),
      onError: (error) => this.#events.onError(error),
      onEmpty: () => this.#leave(channel, shared),
    });
    return shared;
  }

  /** Nobody in the page wants it any more; what the server gave by itself goes back to where it was. */
  #leave(channel: string, shared: SharedSubscription): void {
    if (this.#shared.get(channel) !== shared) return; // left already, and somebody else has come
    this.#shared.delete(channel);
    this.#left.add(shared);
    const stream = shared.machine.handBack();
    if (stream) this.#adopt(channel, stream);
    else shared.machine.stop();
  }

  #takeServerSide(channel: string, result: SubscribeResult): void {
    const shared = this.#shared.get(channel);
    if (shared && shared.machine.state !== "unsubscribed") return shared.machine.takeServerSide(result);
    (this.#streams.get(channel) ?? this.#adopt(channel, new Stream(channel))).begin(result);
  }

  #adopt(channel: string, stream: Stream): Stream {
    const { onPublication, onRecovery } = this.#events;
    stream.events = { onPublication, onRecovery: (recovered) => onRecovery({ channel, recovered }) };
    this.#streams.set(channel, stream);
    return stream;
  }

  #each(action: (shared: SharedSubscription) => unknown): void {
    [...this.#shared.values()].forEach(action);
  }
}
