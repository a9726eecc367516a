/**
 * One WebSocket from birth to death, and the watch over its silence.
 *
 * Owns the socket, the batching of lines into frames and the watchdog. It must never reconnect or know what a line
 * means; after it has reported its end it says nothing more.
 */

import type { Platform, Socket } from "./platform.js";
import { Timer } from "./timer.js";

export interface TransportEvents {
  onOpen(): void;
  onFrame(frame: string): void;
  /** Once, and only when the end was not asked for by `close()`. */
  onEnd(code: number, reason: string): void;
}

/** Lines queued in one tick share a frame up to this many characters, so that no frame meets the server's limit. */
export const FRAME_CHARACTERS = 32_768;

/** The server may be silent for its ping interval and that: slow links, late timers. */
const PING_GRACE_MS = 10_000;

/** The close code of a link given up for its silence; as a WebSocket's 1006, below 3000, it means: reconnect. */
const SILENT = 1006;

export class Transport {
  readonly #platform: Platform;
  readonly #events: TransportEvents;
  readonly #socket: Socket;
  readonly #watchdog: Timer;
  readonly #probe: Timer;
  #lines: string[] = [];
  #characters = 0;
  #allowed: number;
  #heard: number;
  #ended = false;

  /** @param allowed how long, in ms, the link may be silent from now on; each sign of life starts it anew. */
  constructor(platform: Platform, socket: Socket, allowed: number, events: TransportEvents) {
    this.#platform = platform;
    this.#events = events;
    this.#allowed = allowed;
    this.#heard = platform.now();
    this.#watchdog = new Timer(platform);
    this.#probe = new Timer(platform);
    this.#socket = socket;
    socket.onopen = () => {
      this.#heard = platform.now();
      events.onOpen();
    };
    socket.onmessage = ({ data }) => {
      this.#heard = platform.now();
      this.#probe.clear();
      if (typeof data === "string") events.onFrame(data);
    };
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#watch();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Bear no longer silence from now on than pings so many seconds apart leave; any, where there are none. */
  expectPings(interval?: number): void {
    this.#allowed = interval ? interval * 1000 + PING_GRACE_MS : 0;
    this.#watch();
  }

  /** End now if the link has been silent too long. Called by the timer, and when a page wakes whose timers slept. */
  check(): void {
    if (this.#ended || !this.#allowed) return;
    if (this.#platform.now() - this.#heard >= this.#allowed) this.#end(SILENT, "no data from the server");
    else this.#watch();
  }

  /**
   * Expect a sign of life within `ms`: the machine may have slept, and the clock with it, or changed its network.
   *
   * @returns whether the other end is to be asked for one.
   */
  probe(ms: number): boolean {
    this.check();
    if (this.#ended || this.#probe.isSet) return false;
    this.#probe.set(() => this.#end(SILENT, "no answer from the server"), ms);
    return true;
  }

  /** Send a line, in one frame with the other lines of this tick. */
  write(line: string): void {
    if (!this.#lines.length) queueMicrotask(() => this.#flush());
    else if (this.#characters + line.length > FRAME_CHARACTERS) this.#flush();
    this.#lines.push(line);
    this.#characters += line.length + 1;
  }

  /** Let go without a word to `onEnd`. */
  close(): void {
    this.#ended = true;
    this.#watchdog.clear();
    this.#probe.clear();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #flush(): void {
    const { length } = this.#lines;
    if (length && !this.#ended && this.#socket.readyState === 1) this.#socket.send(this.#lines.join("\n"));
    this.#lines = [];
    this.#characters = 0;
  }

  #watch(): void {
    // One timer that looks again when it fires costs less than one restarted for every frame.
    if (!this.#allowed) this.#watchdog.clear();
    else this.#watchdog.set(() => this.check(), this.#heard + this.#allowed - this.#platform.now());
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.close();
    this.#events.onEnd(code, reason);
  }
}
