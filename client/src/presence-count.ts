/**
 * A live head count of a channel.
 *
 * Owns when to ask: on subscribing, and after joins and leaves, many of them together. It must never count by itself:
 * joins and leaves may be missed, the server's number is not.
 */

import { type MessageflowError, UNSUBSCRIBED } from "./codes.js";
import { Emitter, type Off } from "./emitter.js";
import type { Platform } from "./platform.js";
import type { Count } from "./requests.js";
import type { SubscriptionState } from "./state.js";
import { Timer } from "./timer.js";

const DEBOUNCE_MS = 250;

/** What of a subscription its head count needs. */
export interface Countable {
  readonly state: SubscriptionState;
  presenceStats(): Promise<Count>;
  onJoin(handler: () => unknown): Off;
  onLeave(handler: () => unknown): Off;
  onState(handler: (state: SubscriptionState) => unknown): Off;
}

export function watchPresenceCount(
  subscription: Countable,
  platform: Platform,
  report: (error: unknown) => void,
  handler: (count: Count) => unknown,
): Off {
  const timer = new Timer(platform);
  const counts = new Emitter<[Count]>(report);
  const ask = (): void => {
    subscription.presenceStats().then(
      (count) => subscription.state === "subscribed" && counts.emit(count),
      // Where the link has gone, or the subscription, the next one asks again. What the server says is told.
      (error: MessageflowError) => error.code > UNSUBSCRIBED && counts.size > 0 && report(error),
    );
  };
  // Not started anew by each change: where people come and go all the time, the count must still be told.
  const soon = (): void => {
    if (!timer.isSet) timer.set(ask, DEBOUNCE_MS);
  };
  const offs = [
    counts.on(handler),
    subscription.onJoin(soon),
    subscription.onLeave(soon),
    subscription.onState((state) => {
      timer.clear();
      if (state === "subscribed") ask();
    }),
    () => timer.clear(),
  ];
  if (subscription.state === "subscribed") ask();
  return () => offs.forEach((off) => off());
}
