/**
 * Commands on their way: ids, replies, timeouts, repeats, and those that wait for a connection.
 *
 * Owns every unanswered command. It must never keep one past its timeout, never run more than its bound of them, and
 * never say that something failed which may have been done.
 */

import { backoff } from "./backoff.js";
import {
  asError,
  CLOSED,
  INTERNAL,
  LIMIT_EXCEEDED,
  LINK_LOST,
  MessageflowError,
  NOT_JSON,
  OUTCOME_UNKNOWN,
  QUEUE_FULL,
  replyError,
  TIMEOUT,
} from "./codes.js";
import type { Platform } from "./platform.js";
import { encodeCommand, type Method, type ServerMessage } from "./protocol.js";
import { Timer } from "./timer.js";
import { FRAME_CHARACTERS } from "./transport.js";

/** Called at once when the reply is read, before the lines that follow it in its frame. */
export type Done = (error: MessageflowError | undefined, result: unknown) => void;

interface PendingCommand {
  readonly id: number;
  readonly method: Method;
  readonly line: string;
  readonly done: Done;
  /** The end of its time. */
  readonly timer: Timer;
  /** When a publish that the server could not carry out is tried again. */
  readonly again: Timer;
  /** How often it was written. */
  tries: number;
  /** When it was for the first time, on both clocks. */
  since: number[];
}

/** Those that may be repeated: reads, and those that carry an idempotency key. */
const REPEATABLE: ReadonlySet<Method> = new Set(["publish", "send", "history", "presence", "presence_stats"]);

/** Those that do something, so that it matters whether they were carried out. */
const ACTS: ReadonlySet<Method> = new Set(["publish", "send", "rpc"]);

/** So many commands and characters may be unanswered before the next is refused. */
const MOST = 1000;
const MOST_CHARACTERS = 2 ** 20;

export class Commands {
  readonly #platform: Platform;
  readonly #timeout: number;
  /** In flight by id, and those that wait for a connection under the ids they will have. */
  readonly #sent = new Map<number, PendingCommand>();
  readonly #waiting = new Map<number, PendingCommand>();
  #write: ((line: string) => void) | undefined;
  #lastId = 0;
  #characters = 0;
  #closed: MessageflowError | undefined;

  constructor(platform: Platform, timeout: number) {
    this.#platform = platform;
    this.#timeout = timeout;
  }

  /** Issue a command: now if there is a connection, otherwise as soon as there is one. */
  call(method: Method, params: object, done: Done, timeout = this.#timeout): void {
    if (this.#closed) return done(this.#closed, undefined);
    if (this.#sent.size + this.#waiting.size >= MOST || this.#characters > MOST_CHARACTERS) {
      return done(new MessageflowError(QUEUE_FULL, `${MOST} commands, or 1 MB of them, are unanswered.`, true), undefined);
    }
    this.#make(method, params, done, (call) => this.#go(call), timeout);
  }

  /** Issue a command past the queue, over a link that is not yet a connection. */
  first(method: Method, params: object, done: Done, write: (line: string) => void): void {
    this.#make(method, params, done, (call) => this.#send(call, write), this.#timeout);
  }

  /** Settle the command a reply belongs to. Replies to commands given up are let pass. */
  settle(reply: ServerMessage): void {
    const id = reply.id ?? 0;
    const call = this.#sent.get(id);
    if (!call) return;
    this.#sent.delete(id);
    const error = reply.error && replyError(reply.error);
    if (error?.code === INTERNAL && call.method === "publish") {
      // Its store gave no clear answer either. With the same key it is stored once.
      this.#waiting.set(id, call);
      return call.again.set(() => this.#waiting.delete(id) && this.#go(call), backoff(call.tries, this.#platform.random()));
    }
    if (error) {
      const isFinal = call.method === "send" && !error.temporary; // by its key; that it was not looked at says nothing
      return this.#end(call, error, error.code === OUTCOME_UNKNOWN || (call.tries > 1 && !isFinal));
    }
    this.#release(call);
    call.done(undefined, reply[call.method] ?? {});
  }

  /** A connection is there: send what waits, in the order it came. */
  open(write: (line: string) => void): void {
    this.#closed = undefined;
    this.#write = write;
    for (const call of this.#drain(this.#waiting)) this.#send(call, write);
  }

  /**
   * The server ends the link over a message that is too large: let the largest command that does something fail for it,
   * alone. Sent again it would end the next link too. Only one that had a frame of its own, of which nothing was read.
   *
   * @returns whether there was one.
   */
  refuseLargest(): boolean {
    let [id, size] = [0, FRAME_CHARACTERS];
    this.#sent.forEach(({ method, line: { length } }, each) => {
      if (ACTS.has(method) && length > size) [id, size] = [each, length];
    });
    this.settle({ id, error: { code: LIMIT_EXCEEDED, message: "too large for the server" } });
    return !!id;
  }

  /**
   * The link is gone: nobody knows what became of the commands in flight. What may be repeated waits for the next link,
   * in front of what already waits.
   *
   * @param same whether that will be a link of the same user: nothing of one is done in the name of another.
   */
  lose(same = false): void {
    this.#write = undefined;
    const lost = new MessageflowError(LINK_LOST, "The connection was lost before the reply.", true);
    for (const call of [...this.#drain(this.#sent), ...this.#drain(this.#waiting)]) {
      const { id, method, tries } = call;
      if (!tries || (REPEATABLE.has(method) && (same || !ACTS.has(method)))) this.#waiting.set(id, call);
      else this.#end(call, lost, true);
    }
  }

  /** Accept commands again, to wait for a connection. */
  reopen(): void {
    this.#closed = undefined;
  }

  /** There will be no connection until someone asks for one. */
  close(reason: string): void {
    this.lose();
    this.#closed = new MessageflowError(CLOSED, `Not connected: ${reason}. Call connect() first.`);
    for (const call of this.#drain(this.#waiting)) this.#end(call, this.#closed, false);
  }

  /** Encoded before anything else: what cannot be said fails alone, and now, not when the connection opens. */
  #make(method: Method, params: object, done: Done, go: (call: PendingCommand) => void, timeout: number): void {
    const id = ++this.#lastId;
    let line: string;
    try {
      line = encodeCommand(id, method, params);
    } catch (error) {
      return done(asError(error, NOT_JSON, "This cannot be sent as JSON: "), undefined);
    }
    const [timer, again] = [new Timer(this.#platform), new Timer(this.#platform)];
    const call: PendingCommand = { id, method, line, done, timer, again, tries: 0, since: [] };
    this.#characters += line.length;
    timer.set(() => this.#expire(call, timeout), timeout);
    go(call);
  }

  #go(call: PendingCommand): void {
    if (this.#write) this.#send(call, this.#write);
    else this.#waiting.set(call.id, call);
  }

  #send(call: PendingCommand, write: (line: string) => void): void {
    call.again.clear();
    this.#sent.set(call.id, call);
    const clocks = [this.#platform.now(), this.#platform.wall()];
    if (!call.tries++) call.since = clocks;
    else if (call.method === "send") {
      // How old it is says whether the server would remember that it came before. One clock may have slept.
      const age = Math.max(0, ...clocks.map((now, index) => Math.ceil(now - call.since[index]!)));
      return write(`${call.line.slice(0, -2)},"age":${age}}}`);
    }
    write(call.line);
  }

  #expire(call: PendingCommand, timeout: number): void {
    const reason = this.#sent.delete(call.id) ? "No reply" : "No connection";
    this.#waiting.delete(call.id);
    this.#end(call, new MessageflowError(TIMEOUT, `${reason} within ${timeout} ms.`, true), call.tries > 0);
  }

  /** @param mayHaveRun whether it may have been carried out. */
  #end(call: PendingCommand, error: MessageflowError, mayHaveRun: boolean): void {
    const { method, done } = call;
    this.#release(call);
    if (!mayHaveRun || !ACTS.has(method)) return done(error, undefined);
    const message = `${error.message} It is unknown whether this ${method === "send" ? "emit" : method} was carried out.`;
    done(new MessageflowError(error.code, message, false, { unknown: true }), undefined);
  }

  #release({ line, timer, again }: PendingCommand): void {
    this.#characters -= line.length;
    timer.clear();
    again.clear();
  }

  /** Empty first, then act: what is called may issue commands. */
  #drain(calls: Map<number, PendingCommand>): PendingCommand[] {
    const entries = [...calls.values()];
    calls.clear();
    return entries;
  }
}
