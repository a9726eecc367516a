/**
 * State that the application owns, and the stream from where it was read.
 *
 * Owns what is published while the state is fetched, and which of it the state has already. It must never ask before the
 * stream has a position: what is published after the answer would be missed.
 */

import { Attempt } from "./attempt.js";
import { asError, checkFunction, type MessageflowError, STATE_FAILED } from "./codes.js";
import type { Context } from "./context.js";
import type { Platform } from "./platform.js";
import type { Position, Resume } from "./position.js";
import { Retry } from "./retry-timer.js";
import type { SubscriptionState } from "./state.js";

/**
 * Fetch the state, show it, and return where the channel stood before it was read. `signal` says when its answer is waited
 * for no more; hand it to `fetch`.
 */
export type GetState = { ask(request: { signal: AbortSignal }): Promise<Position> | Position }["ask"];

/** What a snapshot needs of its subscription. */
export interface SnapshotHost {
  readonly channel: string;
  /** Where the stream stands. */
  resume(): Resume;
  deliver(data: unknown, context: Context): unknown;
  onError(error: MessageflowError): unknown;
}

const TIMEOUT_MS = 30_000;
const MOST_HELD = 10_000;

export class Snapshot {
  readonly #getState: GetState;
  readonly #host: SnapshotHost;
  readonly #attempt: Attempt;
  readonly #retry: Retry;
  /** What was published since the state was asked for; undefined while it is not. */
  #held: [unknown, Context][] | undefined;
  /** Up to where the state has all; undefined where there is none. */
  #floor: Position | undefined;

  constructor(platform: Platform, getState: GetState, host: SnapshotHost) {
    checkFunction("getState", getState);
    this.#getState = getState;
    this.#host = host;
    this.#attempt = new Attempt(platform);
    this.#retry = new Retry(platform, () => this.attend("subscribed"));
  }

  /** The state of before is of no use any more. */
  renew(state: SubscriptionState): void {
    this.#floor = undefined;
    this.#stop();
    this.attend(state);
  }

  /** Where the subscription is live fetch the state, unless it is there or on its way; where there is none, wait for none. */
  attend(state: SubscriptionState): void {
    if (state === "unsubscribed") this.#stop();
    else if (state === "subscribed" && !this.#floor && !this.#held) void this.#load((this.#held = []));
  }

  /** Hand out a publication, unless the state has it. */
  take(data: unknown, context: Context): void {
    const floor = this.#floor;
    if (floor) {
      if (context.epoch !== floor.epoch || (context.offset ?? 0) > floor.offset) this.#host.deliver(data, context);
    } else if ((this.#held?.push([data, context]) ?? 0) > MOST_HELD) this.#attempt.abandon();
  }

  /** What there is stays. */
  #stop(): void {
    this.#held = undefined;
    this.#attempt.abandon();
    this.#retry.clear();
  }

  async #load(held: [unknown, Context][]): Promise<void> {
    const { channel, resume, onError } = this.#host;
    this.#retry.clear();
    try {
      await null; // the subscription has its position when whoever told of it is done
      if (held !== this.#held) return;
      const { epoch, offset = 0 } = resume();
      const at = await this.#attempt.run(async (signal) => this.#getState({ signal }), TIMEOUT_MS);
      if (held !== this.#held) return;
      if (!epoch || at?.epoch !== epoch || !(at.offset >= offset)) {
        throw new Error("it must return where the channel stood after it was called");
      }
      this.#floor = at;
      this.#retry.reset();
      held.forEach((each) => this.take(...each));
    } catch (error) {
      if (held !== this.#held) return;
      onError(asError(error, STATE_FAILED, `Could not get the state of ${channel}: `, true));
      this.#retry.plan(STATE_FAILED);
    } finally {
      if (held === this.#held) this.#held = undefined;
    }
  }
}
