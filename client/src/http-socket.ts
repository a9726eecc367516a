/**
 * A WebSocket in two halves, where none gets through: the answer to a request that does not end, and requests with commands.
 *
 * Owns both. It must never know what a message means, but for the one that says where commands are sent.
 */

import type { Platform, Socket } from "./platform.js";
import { HTTP_STREAM, SEND } from "./url.js";

/** As a WebSocket's 1006, below 3000, it means: reconnect. */
const LOST = 1006;

interface WayBack {
  session?: string;
  node?: string;
}

export class HttpSocket implements Socket {
  readyState = 1;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  readonly #platform: Platform;
  readonly #url: string;
  readonly #abort = new AbortController();
  #begun = false;
  #back: WayBack | undefined;
  #waiting: string[] = [];
  #sending = false;

  /** @param url of the WebSocket in whose place it is. */
  constructor(platform: Platform, url: string) {
    this.#platform = platform;
    this.#url = url;
    queueMicrotask(() => this.onopen?.(undefined as never));
  }

  /** The first text opens the stream; later ones follow in their order, joined where they had to wait. */
  send(text: string): void {
    if (this.#begun) {
      this.#waiting.push(text);
      void this.#flush();
    } else {
      this.#begun = true;
      void this.#listen(text);
    }
  }

  close(): void {
    this.readyState = 3;
    this.#abort.abort();
  }

  async #listen(first: string): Promise<void> {
    try {
      const answer = await this.#platform.post(HTTP_STREAM(this.#url), first, this.#abort.signal);
      if (!answer.ok) return this.#end(`HTTP ${answer.status}`);
      const reader = answer.body!.getReader();
      const decoder = new TextDecoder();
      for (let rest = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) return this.#end("the stream has ended");
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) this.#take(line);
      }
    } catch (error) {
      this.#end(String(error));
    }
  }

  #take(line: string): void {
    if (!this.#back) {
      this.#back = (JSON.parse(line) as { connect?: WayBack }).connect;
      void this.#flush();
    }
    this.onmessage?.({ data: line });
  }

  async #flush(): Promise<void> {
    if (!this.#back || this.#sending || !this.#waiting.length) return;
    const { session, node } = this.#back;
    const body = JSON.stringify({ session, node, data: this.#waiting.join("\n") });
    this.#waiting = [];
    this.#sending = true;
    try {
      const answer = await this.#platform.post(SEND(this.#url), body, this.#abort.signal);
      if (!answer.ok) return this.#end(`HTTP ${answer.status}`);
      this.#sending = false;
      await this.#flush();
    } catch (error) {
      this.#end(String(error));
    }
  }

  #end(reason: string): void {
    if (this.readyState === 3) return;
    this.close();
    this.onclose?.({ code: LOST, reason });
  }
}
