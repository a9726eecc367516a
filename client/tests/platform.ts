/**
 * A platform for tests: a clock moved by hand, timers that can be counted, sockets whose other end is the test.
 *
 * The client under test is the real one; the only thing replaced is what `Platform` names.
 */

import assert from "node:assert/strict";
import { Flow } from "../src/flow.js";
import type { Options } from "../src/options.js";
import type { Life, Platform, Socket, StreamAnswer } from "../src/platform.js";

export type Sent = Record<string, unknown> & { id?: number };

/** The server's end of one socket. */
export class Peer implements Socket {
  readyState = 0;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  /** What the client sent, frame by frame. */
  readonly frames: string[] = [];
  closed = false;
  #read = 0;

  constructor(readonly url: string) {}

  send(text: string): void {
    assert.equal(this.readyState, 1, "sent on a socket that is not open");
    this.frames.push(text);
  }

  close(): void {
    this.closed = true;
    this.readyState = 3;
  }

  /** The commands that came since the last look. */
  commands(): Sent[] {
    const lines = this.frames.slice(this.#read).flatMap((frame) => frame.split("\n"));
    this.#read = this.frames.length;
    return lines.map((line) => JSON.parse(line) as Sent);
  }

  /** Let the handshake succeed and the client write its first frame. */
  async open(): Promise<Sent[]> {
    this.readyState = 1;
    this.onopen?.(undefined as never);
    await settle();
    return this.commands();
  }

  /** Send messages in one frame. */
  async say(...messages: object[]): Promise<void> {
    await this.raw(messages.map((message) => JSON.stringify(message)).join("\n"));
  }

  async raw(data: unknown): Promise<void> {
    this.onmessage?.({ data });
    await settle();
  }

  /** Open, and accept the connection. */
  async accept(result: object = {}): Promise<Sent[]> {
    const commands = await this.open();
    await this.say({ id: commands[0]?.id, connect: { client: "c1", ping: 15, pong: true, ...result } });
    return commands;
  }

  /** End the link as the network or the server would. */
  async drop(code = 1006, reason = ""): Promise<void> {
    this.readyState = 3;
    this.onclose?.({ code, reason });
    await settle();
  }
}

/** The server's end of one request with a text. */
export class Posted {
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(
    readonly url: string,
    readonly text: string,
    readonly signal: AbortSignal,
    readonly resolve: (answer: StreamAnswer) => void,
    readonly reject: (error: Error) => void,
  ) {}

  /** Answer, and say more later. */
  async answer(status = 200): Promise<void> {
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#stream = controller) });
    this.resolve({ ok: status < 300, status, body });
    await settle();
  }

  /** Write some of the answer, however lines are cut. */
  async write(text: string): Promise<void> {
    this.#stream?.enqueue(new TextEncoder().encode(text));
    await settle();
  }

  async end(): Promise<void> {
    this.#stream?.close();
    await settle();
  }
}

/** Let everything that waits on a settled promise run. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

export class TestPlatform implements Platform {
  time = 1_000_000;
  /** How long the machine has slept, and one clock with it. */
  slept = 0;
  chance = 0.5;
  readonly peers: Peer[] = [];
  readonly fetched: string[] = [];
  readonly signals: AbortSignal[] = [];
  /** Answers of the token endpoint, the last one repeated. */
  answers: (() => { status: number; body: string })[] = [];
  canStream = false;
  readonly posts: Posted[] = [];
  readonly lives = new Set<Life>();
  #timers = new Map<number, { at: number; action: () => void }>();
  #lastTimer = 0;

  now(): number {
    return this.time;
  }

  wall(): number {
    return this.time + this.slept;
  }

  random(): number {
    return this.chance;
  }

  setTimer(action: () => void, ms: number): unknown {
    this.#timers.set(++this.#lastTimer, { at: this.time + ms, action });
    return this.#lastTimer;
  }

  clearTimer(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  openSocket(url: string): Socket {
    const peer = new Peer(url);
    this.peers.push(peer);
    return peer;
  }

  async fetch(url: string, signal: AbortSignal): Promise<{ ok: boolean; status: number; text(): Promise<string> }> {
    this.fetched.push(url);
    this.signals.push(signal);
    const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    if (!answer) throw new TypeError("network down");
    const { status, body } = answer();
    return { ok: status < 300, status, text: async () => body };
  }

  async post(url: string, text: string, signal: AbortSignal): Promise<StreamAnswer> {
    return new Promise((resolve, reject) => this.posts.push(new Posted(url, text, signal, resolve, reject)));
  }

  attend(life: Life): () => void {
    this.lives.add(life);
    return () => this.lives.delete(life);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Move the clock, running what falls due in its order. */
  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].action();
      await settle();
    }
    this.time = end;
  }

  /** Let time go by with timers asleep, as in a frozen tab. */
  sleep(ms: number): void {
    this.time += ms;
  }

  wake(): Promise<void> {
    this.lives.forEach((life) => life.wake());
    return settle();
  }

  depart(): Promise<void> {
    this.lives.forEach((life) => life.depart());
    return settle();
  }

  get peer(): Peer {
    const peer = this.peers.at(-1);
    assert.ok(peer, "the client has opened no socket");
    return peer;
  }
}

/** A platform whose token endpoint gives these answers, the last one again and again. */
export function answering(...answers: [status: number, body: string][]): TestPlatform {
  const platform = new TestPlatform();
  platform.answers = answers.map(([status, body]) => () => ({ status, body }));
  return platform;
}

/** A flow in a platform of its own. */
export function start(options: Options = {}, platform = new TestPlatform()): { flow: Flow; platform: TestPlatform } {
  const flow = new Flow({ url: "ws://gateway.test", ...options }, platform, undefined);
  return { flow, platform };
}

/** A flow that is connected. */
export async function connected(
  options: Options = {},
  result: object = {},
): Promise<{ flow: Flow; platform: TestPlatform; peer: Peer; commands: Sent[] }> {
  const { flow, platform } = start(options);
  await settle();
  const commands = await platform.peer.accept(result);
  return { flow, platform, peer: platform.peer, commands };
}

/** An unsigned token that looks like one. */
export const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2ln";
