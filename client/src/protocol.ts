/**
 * The words of the wire: the JSON protocol of Centrifuge, with our `tag` beside `offset`.
 *
 * Owns the shapes of commands, replies and pushes and the framing (JSON objects joined by newlines). Pure: it knows
 * no socket, no clock and no state. It must never trust an object key: channel names become keys only by
 * `Object.fromEntries`, which defines them, so that `__proto__` is a name like any other.
 */

export type Method =
  | "connect"
  | "subscribe"
  | "unsubscribe"
  | "publish"
  | "presence"
  | "presence_stats"
  | "history"
  | "rpc"
  | "send"
  | "ping"
  | "refresh"
  | "sub_refresh";

/** Who holds a connection, as presence, join and leave tell it. */
export interface ClientInfo {
  user: string;
  client: string;
  conn_info?: unknown;
  chan_info?: unknown;
}

/** One publication as it travels. */
export interface WirePublication {
  data?: unknown;
  offset?: number;
  tag?: string;
  info?: ClientInfo;
  tags?: Record<string, string>;
}

/** How far a stream has moved by what is not for this client: the last `count` publications up to here, or one. */
export interface Moved {
  offset: number;
  tag?: string;
  count?: number;
}

/** The result of a subscription, asked for (`subscribe`) or given (`connect.subs`, the `subscribe` push). */
export interface SubscribeResult {
  expires?: boolean;
  ttl?: number;
  recovered?: boolean;
  epoch?: string;
  offset?: number;
  tag?: string;
  publications?: WirePublication[];
}

export interface ConnectResult {
  client?: string;
  data?: unknown;
  expires?: boolean;
  ttl?: number;
  ping?: number;
  pong?: boolean;
  subs?: Record<string, SubscribeResult>;
}

export interface RefreshResult {
  expires?: boolean;
  ttl?: number;
}

export interface ErrorReply {
  code: number;
  message?: string;
  temporary?: boolean;
}

export interface Push {
  channel?: string;
  pub?: WirePublication;
  moved?: Moved;
  join?: { info: ClientInfo };
  leave?: { info: ClientInfo };
  subscribe?: SubscribeResult;
  unsubscribe?: { code?: number; reason?: string };
  message?: { data?: unknown };
  disconnect?: { code?: number; reason?: string };
  refresh?: RefreshResult;
}

/** Anything the server says: a reply (`id`), a push, or a ping (neither). */
export type ServerMessage = {
  id?: number;
  error?: ErrorReply;
  push?: Push;
} & { [method in Method]?: unknown };

/** One command as one line. */
export function encodeCommand(id: number, method: Method, params: object): string {
  return JSON.stringify({ id, [method]: params });
}

/** The answer to a ping. */
export const PONG = "{}";

/**
 * Take a frame apart.
 *
 * @throws SyntaxError when a line is not JSON, TypeError when it is JSON but no object.
 */
export function decodeFrame(frame: string): ServerMessage[] {
  return frame
    .split("\n")
    .filter((line) => line.trim())
    .map((line) => {
      const message: unknown = JSON.parse(line);
      if (!message || typeof message !== "object") throw new TypeError(`not a message: ${line.slice(0, 80)}`);
      return message as ServerMessage;
    });
}

/** A ping is an object that says nothing. */
export function isPing(message: ServerMessage): boolean {
  return !Object.keys(message).length;
}
