/**
 * Keeps a right alive: fetches a new token before the old one ends and hands it to the server.
 *
 * Owns the timer of one right, of the connection or of one subscription. It must never decide what an ended right
 * means; that is told to `onRefused`.
 */

import { backoff, refreshDelay } from "./backoff.js";
import type { Done } from "./calls.js";
import { MessageflowError, skewed, TOKEN_EXPIRED } from "./codes.js";
import type { RefreshResult } from "./protocol.js";
import type { TokenSource } from "./token.js";
import { Alarm, type World } from "./world.js";

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

export class Refresher {
  readonly #world: World;
  readonly #tokens: () => TokenSource;
  readonly #events: RefresherEvents;
  readonly #alarm: Alarm;
  #attempt = 0;
  #turn = 0;

  /** @param tokens gives the source in use: it may change while a right goes on. */
  constructor(world: World, tokens: () => TokenSource, events: RefresherEvents) {
    this.#world = world;
    this.#tokens = tokens;
    this.#events = events;
    this.#alarm = new Alarm(world);
  }

  /** Plan by what the server says of the life of the right; without an end, or a way to a token, there is no plan. */
  plan({ expires, ttl }: RefreshResult): void {
    this.stop();
    this.#attempt = 0;
    if (expires && this.#tokens().renewable) this.#wait(refreshDelay(ttl ?? 0, this.#world.random()));
  }

  /** Plan nothing, and wait for no token any more. */
  stop(): void {
    this.#turn++;
    this.#alarm.clear();
    this.#tokens().abandon();
  }

  #wait(ms: number): void {
    this.#alarm.set(() => void this.#refresh(), ms);
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
    this.#events.onError(error.code === TOKEN_EXPIRED ? skewed() : error);
    this.#wait(RETRY_BASE_MS / 2 + backoff(this.#attempt++, this.#world.random(), RETRY_BASE_MS));
  }
}
