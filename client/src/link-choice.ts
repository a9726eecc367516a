/**
 * Which kind of link the next attempt opens: a WebSocket, or HTTP where none gets through.
 *
 * Owns the count of attempts that came to nothing and the way back to a WebSocket. It must never open what is kept.
 */

import { FROM_SERVER } from "./codes.js";
import { HttpSocket } from "./http-socket.js";
import type { Platform, Socket } from "./platform.js";
import { Timer } from "./timer.js";
import { hasHttp } from "./url.js";

/** Links that ended before the server had said a word, after which HTTP has its turn, and from then on every other time. */
const PATIENCE = 2;

/** The same once a WebSocket got through: then it is the gateway that is away, more likely than the way to it that is barred. */
const PROVEN_PATIENCE = 6;

/** Milliseconds until the first look whether WebSockets get through by now, and between two more. */
const FIRST_LOOK = 30_000;
const LOOK_AGAIN = 300_000;

export class LinkChoice {
  readonly #platform: Platform;
  readonly #url: string;
  readonly #again: Timer;
  readonly #onWebSocket: () => void;
  #failed = 0;
  #http = false;
  #keepsHttp = false;
  #isProven = false;
  #isAccepted = false;

  /** @param onWebSocket told, while HTTP is in use, that a WebSocket opens by now. */
  constructor(platform: Platform, url: string, onWebSocket: () => void) {
    this.#platform = platform;
    this.#url = url;
    this.#again = new Timer(platform);
    this.#onWebSocket = onWebSocket;
  }

  /** Open the next link. */
  open(): Socket {
    this.#again.clear();
    this.#isAccepted = false;
    const beyond = this.#failed - (this.#isProven ? PROVEN_PATIENCE : PATIENCE);
    const turn = beyond >= 0 && beyond % 2 === 0;
    this.#http = hasHttp(this.#url) && this.#platform.canStream && (this.#keepsHttp || turn);
    return this.#http ? new HttpSocket(this.#platform, this.#url) : this.#platform.openSocket(this.#url);
  }

  /** The server has spoken over the link that was opened last. */
  accepted(): void {
    this.#failed = 0;
    this.#isAccepted = true;
    this.#keepsHttp = this.#http;
    if (this.#http) this.#again.set(() => this.#look(), FIRST_LOOK);
    else this.#isProven = true;
  }

  /** The link that was opened last has ended with this close code. */
  ended(code: number): void {
    this.#again.clear();
    if (this.#isAccepted || code >= FROM_SERVER) return;
    this.#failed++;
    this.#keepsHttp = false;
  }

  /** Nothing is to be looked for any more. */
  stop(): void {
    this.#again.clear();
  }

  #look(): void {
    this.#again.set(() => this.#look(), LOOK_AGAIN);
    const probe = this.#platform.openSocket(this.#url);
    probe.onopen = () => {
      probe.close();
      this.#keepsHttp = false;
      this.#onWebSocket();
    };
  }
}
