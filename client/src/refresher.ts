/**
 * Keeps a right alive: fetches a new token before the old one ends and hands it to the server.
 *
 * Owns the timer of one right, of the connection or of one subscription. It must never decide what an ended right
 * means; that is told to `onRefused`.
 */

import { backoff } from "./backoff.js";
import { clockSkewError, MessageflowError, TOKEN_EXPIRED } from "./codes.js";
import type { Done } from "./command-queue.js";
import type { Platform } from "./platform.js";
import type { RefreshResult } from "./protocol.js";
import { Timer } from "./timer.js";
import type { TokenSource } from "./token.js";

export interface RefresherEvents {
  /** Hand a token to the server. */
  send(token: string, done: Done): void;
  /** The right cannot be kept. */
  onRefused(error: MessageflowError): void;
  /** An attempt failed; the next is planned. */
  onError(error: MessageflowError): void;
}

/** Refresh failures start further apart than reconnects: there is time left. */
const RETRY_BASE_MS = 2000;

/**
 * When to fetch the next token: before the end (the server cuts at it), and spread, so that pages opened together do
 * not ask together.
 *
 * @param ttl seconds the present token is good for.
 * @returns milliseconds, between 75 % and 85 % of the life.
 */
export function refreshDelay(ttl: number, random: number): number {
  return Math.max(0, ttl) * (750 + 100 * random);
}

export class Refresher {
  readonly #platform: Platform;
  readonly #tokens: () => TokenSource;
  readonly #events: RefresherEvents;
  readonly #timer: Timer;
  #attempt = 0;
  #turn = 0;

  /** @param tokens gives the source in use: it may change while a right goes on. */
  constructor(platform: Platform, tokens: () => TokenSource, events: RefresherEvents) {
    this.#platform = platform;
    this.#tokens = tokens;
    this.#events = events;
    this.#timer = new Timer(platform);
  }

  /** Plan by what the server says of the life of the right; without an end, or a way to a token, there is no plan. */
  plan({ expires, ttl }: RefreshResult): void {
    this.stop();
    this.#attempt = 0;
    if (expires && this.#tokens().renewable) this.#wait(refreshDelay(ttl ?? 0, this.#platform.random()));
  }

  /** Plan nothing, and wait for no token any more. */
  stop(): void {
    this.#turn++;
    this.#timer.clear();
    this.#tokens().abandon();
  }

  #wait(ms: number): void {
    this.#timer.set(() => void this.#refresh(), ms);
  }

  async #refresh(): Promise<void> {
    const turn = ++this.#turn;
    try {
      const token = await this.#tokens().renew();
      if (turn !== this.#turn) return;
      this.#events.send(token ?? "", (error, result) => {
        if (turn !== this.#turn) return;
        if (error) this.#failed(error);
        else this.plan(result as RefreshResult);
      });
    } catch (error) {
      if (turn === this.#turn) this.#failed(error as MessageflowError);
    }
  }

  #failed(error: MessageflowError): void {
    if (!error.temporary && error.code !== TOKEN_EXPIRED) return this.#events.onRefused(error);
    this.#events.onError(error.code === TOKEN_EXPIRED ? clockSkewError() : error);
    this.#wait(RETRY_BASE_MS / 2 + backoff(this.#attempt++, this.#platform.random(), RETRY_BASE_MS));
  }
}
