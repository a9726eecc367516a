/**
 * Commands on their way: ids, replies, timeouts, and those that wait for a connection.
 *
 * Owns every unanswered command. It must never keep one past its timeout, and never run more than its bound of them.
 */

import { CLOSED, known, LINK_LOST, MessageflowError, NOT_JSON, QUEUE_FULL, replyError, TIMEOUT } from "./codes.js";
import { encodeCommand, type Method, type ServerMessage } from "./protocol.js";
import { Alarm, type World } from "./world.js";

/** Called at once when the reply is read, before the lines that follow it in its frame. */
export type Done = (error: MessageflowError | undefined, result: unknown) => void;

interface Call {
  method: Method;
  line: string;
  done: Done;
  alarm: Alarm;
}

const MOST = 1000;

export class Calls {
  readonly #world: World;
  readonly #timeout: number;
  /** In flight by id, and those that wait for a connection under the ids they will have. */
  readonly #sent = new Map<number, Call>();
  readonly #waiting = new Map<number, Call>();
  #write: ((line: string) => void) | undefined;
  #lastId = 0;
  #closed: MessageflowError | undefined;

  constructor(world: World, timeout: number) {
    this.#world = world;
    this.#timeout = timeout;
  }

  /** Issue a command: now if there is a connection, otherwise as soon as there is one. */
  call(method: Method, params: object, done: Done): void {
    if (this.#closed) return done(this.#closed, undefined);
    if (this.#sent.size + this.#waiting.size >= MOST) {
      return done(new MessageflowError(QUEUE_FULL, `More than ${MOST} commands are unanswered.`, true), undefined);
    }
    this.#make(method, params, done, (id, call) => {
      if (this.#write) this.#send(id, call, this.#write);
      else this.#waiting.set(id, call);
    });
  }

  /** Issue a command past the queue, over a link that is not yet a connection. */
  first(method: Method, params: object, done: Done, write: (line: string) => void): void {
    this.#make(method, params, done, (id, call) => this.#send(id, call, write));
  }

  /** Settle the command a reply belongs to. Replies to commands given up are let pass. */
  settle(reply: ServerMessage): void {
    const id = reply.id ?? 0;
    const call = this.#sent.get(id);
    if (!call) return;
    this.#sent.delete(id);
    call.alarm.clear();
    if (reply.error) call.done(replyError(reply.error), undefined);
    else call.done(undefined, reply[call.method] ?? {});
  }

  /** A connection is there: send what waits, in the order it came. */
  open(write: (line: string) => void): void {
    this.#closed = undefined;
    this.#write = write;
    for (const [id, call] of this.#drain(this.#waiting)) this.#send(id, call, write);
  }

  /** The link is gone: nobody knows what became of the commands in flight. Those that wait go on waiting. */
  lose(): void {
    this.#write = undefined;
    this.#fail(this.#sent, new MessageflowError(LINK_LOST, "The connection was lost before the reply came.", true));
  }

  /** Accept commands again, to wait for a connection. */
  reopen(): void {
    this.#closed = undefined;
  }

  /** There will be no connection until someone asks for one. */
  close(reason: string): void {
    this.lose();
    this.#closed = new MessageflowError(CLOSED, `Not connected: ${reason}. Call connect() first.`);
    this.#fail(this.#waiting, this.#closed);
  }

  /** Encoded before anything else: what cannot be said fails alone, and now, not when the connection opens. */
  #make(method: Method, params: object, done: Done, go: (id: number, call: Call) => void): void {
    const id = ++this.#lastId;
    let line: string;
    try {
      line = encodeCommand(id, method, params);
    } catch (error) {
      return done(known(error, NOT_JSON, "This cannot be sent as JSON: "), undefined);
    }
    const call = { method, line, done, alarm: new Alarm(this.#world) };
    call.alarm.set(() => this.#expire(id), this.#timeout);
    go(id, call);
  }

  #send(id: number, call: Call, write: (line: string) => void): void {
    this.#sent.set(id, call);
    write(call.line);
  }

  #expire(id: number): void {
    const call = this.#sent.get(id) ?? this.#waiting.get(id);
    const reason = this.#sent.delete(id) ? "No reply" : "No connection";
    this.#waiting.delete(id);
    call?.done(new MessageflowError(TIMEOUT, `${reason} within ${this.#timeout} ms.`, true), undefined);
  }

  #fail(calls: Map<number, Call>, error: MessageflowError): void {
    for (const [, call] of this.#drain(calls)) {
      call.alarm.clear();
      call.done(error, undefined);
    }
  }

  /** Empty first, then act: what is called may issue commands. */
  #drain(calls: Map<number, Call>): [number, Call][] {
    const entries = [...calls];
    calls.clear();
    return entries;
  }
}
