/**
 * The commands of a page as promises, and their results in the page's words.
 *
 * Owns the translation only; when and how a command travels is `Commands`' to decide.
 */

import type { Commands } from "./command-queue.js";
import type { ClientInfo, Method, WirePublication } from "./protocol.js";

export interface HistoryOptions {
  /** At most so many; −1 for all the server gives at once, 0 for the position alone. Default 100. */
  limit?: number | undefined;
  /** Begin after this position. */
  since?: { epoch: string; offset: number } | undefined;
  /** Newest first. */
  reverse?: boolean | undefined;
}

export interface History<Data = unknown> {
  publications: { data: Data; offset: number; info?: ClientInfo; tags?: Record<string, string> }[];
  epoch: string;
  offset: number;
}

export interface Count {
  /** Connections. */
  clients: number;
  /** People: connections of one user count once. */
  users: number;
}

export interface PublishOptions {
  /** Names this publication, so that your own code may repeat it: at most 128 characters. One of its own by default. */
  idempotencyKey?: string | undefined;
}

export interface CallOptions {
  /** Milliseconds to wait for the connection and the answer. Default: `commandTimeout`. */
  timeout?: number | undefined;
}

export interface EmitOptions extends CallOptions {
  /** Names what is told, so that your own code may repeat it: at most 128 characters. One of its own by default. */
  key?: string | undefined;
}

/** A function of the application that pages call: what it takes and returns. */
export interface Call<Data = unknown, Result = unknown> {
  data: Data;
  result: Result;
}

export type DataOf<C> = C extends { data: infer Data } ? Data : unknown;
export type ResultOf<C> = C extends { result: infer Result } ? Result : unknown;

/** What follows a name: data, which may be left out where all of it may, and options. */
export type Said<Data, Given> = {} extends Data ? [data?: Data | undefined, options?: Given] : [data: Data, options?: Given];

export class Requests {
  readonly #commands: Commands;
  /** No two pages' are alike; the server keeps those of different users apart. */
  readonly #prefix: string;
  #keys = 0;

  constructor(calls: Commands, random: () => number) {
    this.#commands = calls;
    this.#prefix = [random(), random()].map((number) => number.toString(36).slice(2)).join("");
  }

  async publish(channel: string, data: unknown, { idempotencyKey }: PublishOptions = {}): Promise<void> {
    const idempotency_key = this.#checkKey(idempotencyKey, "idempotencyKey");
    await this.#request("publish", { channel: checkChannel(channel), data: checkData(data), idempotency_key });
  }

  async presence(channel: string): Promise<ClientInfo[]> {
    const { presence } = await this.#request<{ presence?: Record<string, ClientInfo> }>("presence", {
      channel: checkChannel(channel),
    });
    return Object.values(presence ?? {});
  }

  async presenceStats(channel: string): Promise<Count> {
    type Stats = { num_clients?: number; num_users?: number };
    const stats = await this.#request<Stats>("presence_stats", { channel: checkChannel(channel) });
    return { clients: stats.num_clients ?? 0, users: stats.num_users ?? 0 };
  }

  async history<Data>(
    channel: string,
    { limit = 100, since, reverse }: HistoryOptions = {},
  ): Promise<History<Data>> {
    const { publications, epoch, offset } = await this.#request<Partial<History> & { publications?: WirePublication[] }>(
      "history",
      { channel: checkChannel(channel), limit, since, reverse },
    );
    return { publications: (publications ?? []) as History<Data>["publications"], epoch: epoch ?? "", offset: offset ?? 0 };
  }

  async emit(name: string, data: unknown, { timeout, key }: EmitOptions = {}): Promise<void> {
    const payload = data === undefined ? data : checkData(data);
    await this.#request("send", { data: { type: checkName(name), payload }, key: this.#checkKey(key, "key") }, timeout);
  }

  async call(name: string, data: unknown, { timeout }: CallOptions = {}): Promise<unknown> {
    return (await this.#request<{ data?: unknown }>("rpc", { method: checkName(name), data }, timeout)).data;
  }

  #request<Result>(method: Method, params: object, timeout?: number): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#commands.call(method, params, (error, result) => (error ? reject(error) : resolve(result as Result)), timeout);
    });
  }

  #checkKey(given: string | undefined, option: string): string {
    const key = given ?? `${this.#prefix}-${++this.#keys}`;
    if (typeof key === "string" && key && key.length <= 128) return key;
    throw new TypeError(`${option} must be a string of 1 to 128 characters.`);
  }
}

/** Check a channel's name as far as a client can. */
export function checkChannel(channel: unknown): string {
  if (typeof channel !== "string" || !channel) throw new TypeError("A channel's name must be a non-empty string.");
  return channel;
}

function checkName(name: unknown): string {
  if (typeof name !== "string" || !name) throw new TypeError("The name of a handler must be a non-empty string.");
  return name;
}

/** What no gateway of this version reads is refused: taken in silence it would be a promise. */
export function refuseUnread(options: object): void {
  for (const option of ["data", "meta"]) {
    if (!(option in options)) continue;
    throw new TypeError(`Nothing would read "${option}": put it into the token (info) or use HTTP.`);
  }
}

function checkData(data: unknown): unknown {
  // JSON leaves these out where they are a property.
  if (data === undefined || typeof data === "function" || typeof data === "symbol") {
    throw new TypeError(`No data to send: ${typeof data}.`);
  }
  return data;
}
