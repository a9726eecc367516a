/**
 * What the numbers mean: disconnect codes, unsubscribe codes, error codes, and the one error class.
 *
 * Pure decisions only; it must never hold state.
 */

import type { ErrorReply } from "./protocol.js";

/** Server error codes the client acts upon. */
export const INTERNAL = 100;
export const TOKEN_EXPIRED = 109;
export const ALREADY_SUBSCRIBED = 105;
export const LIMIT_EXCEEDED = 106;
export const OUTCOME_UNKNOWN = 113;

/** Codes below 100 are the client's own; they never travel. */
export const TIMEOUT = 1;
export const LINK_LOST = 2;
export const QUEUE_FULL = 3;
export const CLOSED = 4;
export const UNAUTHORIZED = 5;
export const TOKEN_FAILED = 6;
export const UNSUBSCRIBED = 7;
export const BAD_FRAME = 8;
export const HANDLER_FAILED = 9;
export const NOT_JSON = 10;
export const STATE_FAILED = 11;

/** Close code: a message larger than the server takes. */
export const TOO_LARGE = 1009;

/** Close code: the right to be connected has run out. */
export const CONNECTION_EXPIRED = 3005;

/** Close code: `connect` did not arrive in time; terminal by the protocol, but it is the network that kept it. */
export const STALE = 3502;

/** Close code: the application has disconnected the user. */
export const FORCE_DISCONNECT = 3503;

/** What a close code asks for beyond what its range says. Whatever has a rule is tried again. */
interface CloseRule {
  /** How soon. */
  readonly pace: "slow" | "restart";
  /** What `onError` is told, once for all the tries: a sentence for people with the server's reason in it. */
  readonly tell?: (reason: string) => string;
}

const CROWDED: CloseRule = {
  pace: "slow",
  tell: (reason) => `Too many connections of this user (${reason}): tried again, slowly.`,
};

const CLOSE_RULES: Readonly<Record<number, CloseRule>> = {
  3401: { pace: "restart" }, // the server starts again and will be back in a moment
  3404: CROWDED, // some will go
  3504: CROWDED, // what older gateways say
};

const STATE_INVALIDATED = 3014;
const SUBSCRIPTION_INVALIDATED = 2502;

/** What every promise of this client rejects with, and what `onError` is given. */
export class MessageflowError extends Error {
  override readonly name = "MessageflowError";
  readonly #own = true;
  /** Whether what was asked may have been done all the same: to ask again may do it twice. */
  readonly unknown: boolean;

  /**
   * @param code below 100: of this client; otherwise the server's error or close code.
   * @param message a sentence for people.
   * @param temporary whether trying again may help.
   */
  constructor(
    readonly code: number,
    message: string,
    readonly temporary = false,
    options: { cause?: unknown; unknown?: boolean } = {},
  ) {
    super(message, options);
    this.unknown = !!options.unknown;
  }

  /** Whether this client made it. Looks at nothing that answers: what was thrown may be a proxy that throws itself. */
  static isOwn(error: unknown): error is MessageflowError {
    return typeof error === "object" && !!error && #own in error;
  }
}

/**
 * Make a sentence of whatever was thrown. Anything can be: what has no `toString`, what throws when it is looked at.
 */
export function toText(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "something that cannot be shown was thrown";
  }
}

/** What was thrown as an error of this client; one of its own stays as it is. */
export function asError(error: unknown, code: number, text: string, temporary = false): MessageflowError {
  if (MessageflowError.isOwn(error)) return error;
  return new MessageflowError(code, text + toText(error), temporary, { cause: error });
}

/** What to make of a token that was just made and is over already. */
export function clockSkewError(): MessageflowError {
  const message = "A fresh token was refused as expired: compare the clocks of its maker and the gateway.";
  return new MessageflowError(TOKEN_EXPIRED, message, true);
}

/** Refuse what is to be called later and cannot be. */
export function checkFunction(name: string, given: unknown): void {
  if (typeof given !== "function") throw new TypeError(`${name} must be a function, not ${typeof given}.`);
}

/** The last resort: nobody is told if even the console fails. */
export function logError(...words: unknown[]): void {
  try {
    console.error("messageflow:", ...words);
  } catch {
    // A console that was replaced, or one that looks too closely at what it is given.
  }
}

/** The error of an error reply; codes below 100 are temporary by the protocol. */
export function replyError(reply: ErrorReply): MessageflowError {
  return new MessageflowError(reply.code, reply.message || `error ${reply.code}`, !!reply.temporary || reply.code < 100);
}

/** The first close code that a server gives; those below tell of the link alone. */
export const FROM_SERVER = 3000;

/**
 * Whether a WebSocket close code forbids a reconnect: 3500–3999, 4500–4999, and 1009, a frame too large for the server;
 * unless it has a rule.
 */
export function isTerminalClose(code: number): boolean {
  return ((code >= 3500 && code < 4000) || (code >= 4500 && code < 5000) || code === TOO_LARGE) && !closeRule(code);
}

/** The rule of a close code, if it has one of its own. */
export function closeRule(code: number): CloseRule | undefined {
  return CLOSE_RULES[code];
}

/** Whether an unsubscribe push is final; from 2500 on the client subscribes again. */
export function isTerminalUnsubscribe(code: number): boolean {
  return code < 2500;
}

/** Whether tokens and positions are void: 3014 for the connection, 2502 for one subscription. */
export function invalidatesState(code: number): boolean {
  return code === STATE_INVALIDATED || code === SUBSCRIPTION_INVALIDATED;
}
