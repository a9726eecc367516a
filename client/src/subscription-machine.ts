/**
 * A client-side subscription as a state machine: subscribing, subscribed, unsubscribed.
 *
 * Owns the token, the retries and the stream of one channel. It must never call a page's handler itself; it tells its
 * events.
 */

import { clockSkewError, invalidatesState, isTerminalUnsubscribe, LINK_LOST, MessageflowError, TOKEN_EXPIRED, TOKEN_FAILED } from "./codes.js";
import type { Platform } from "./platform.js";
import type { Resume } from "./position.js";
import type { Push, SubscribeResult } from "./protocol.js";
import { Refresher } from "./refresher.js";
import { Retry } from "./retry-timer.js";
import type { Connection, Detail, SubscriptionMachineEvents, SubscriptionState } from "./state.js";
import { Stream } from "./stream.js";
import { judgeFailure } from "./subscription-failure.js";
import type { TokenSource } from "./token.js";

const OK = { code: 0, reason: "" };

export class SubscriptionMachine {
  readonly channel: string;
  readonly #connection: Connection;
  readonly #events: SubscriptionMachineEvents;
  readonly #refresher: Refresher;
  readonly #retry: Retry;
  #tokens: TokenSource;
  #stream: Stream;
  #state: SubscriptionState = "unsubscribed";
  #detail: Detail = OK;
  /** Whether joins and leaves were asked for. */
  #watched = false;
  /** Whether there is a token that the request under way did not carry. */
  #renewed = false;
  #serverSide = false;
  #asked = false;
  /** The token of the last request was made for it. */
  #isNew = false;
  #turn = 0;

  constructor(platform: Platform, connection: Connection, channel: string, tokens: TokenSource, events: SubscriptionMachineEvents) {
    this.channel = channel;
    this.#connection = connection;
    this.#tokens = tokens;
    this.#events = events;
    this.#stream = new Stream(this.channel, undefined, this.#events);
    this.#retry = new Retry(platform, () => this.request());
    this.#refresher = new Refresher(platform, () => this.#tokens, {
      send: (token, done) => connection.issue("sub_refresh", { channel, token }, done),
      onRefused: (error) => this.#stop(error.code, error.message),
      onError: (error) => events.onError(error),
    });
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  get detail(): Detail {
    return this.#detail;
  }

  /** Whether the server subscribed us by itself: then the position travels with `connect`. */
  get isServerSide(): boolean {
    return this.#serverSide;
  }

  /** What a request carries to resume here. */
  resume(): Resume {
    return this.#stream.resume();
  }

  /** Want the channel; whoever starts calls `request()` too, once all that it carries is known. */
  start(): void {
    if (this.#state !== "unsubscribed") return;
    this.#retry.reset();
    this.#enter("subscribing", OK);
  }

  /** Have the next token from here. One that has proved good goes on. */
  use(tokens: TokenSource): void {
    if (tokens === this.#tokens) return;
    const before = this.#tokens;
    this.#tokens = tokens;
    if (this.#state === "subscribed") tokens.inherit(before.current);
    if (this.#state !== "subscribing") return;
    this.#renewed = tokens.given;
    if (this.#asked) return;
    // What is waited for may be a token from someone who has gone.
    this.#quiet(before);
    this.request();
  }

  stop(): void {
    if (this.#state !== "unsubscribed") this.#stop(0, "unsubscribed by the page");
  }

  /** Joins and leaves are wanted: ask anew if they were not asked for. */
  watch(): void {
    if (!this.#asked || this.#serverSide || this.#watched) return;
    this.#leave();
    this.#again(OK);
    this.request();
  }

  /** Ask the server, if there is someone to ask and all that is needed is at hand. */
  request(isNew = false): void {
    if (this.#state !== "subscribing" || this.#asked || this.#serverSide || !this.#connection.isWritable) return;
    this.#retry.clear();
    const turn = ++this.#turn;
    if (!this.#tokens.ready) {
      this.#tokens.get().then(
        () => turn === this.#turn && this.request(true),
        (error: MessageflowError) => turn === this.#turn && this.#failed(error),
      );
      return;
    }
    this.#asked = true;
    this.#isNew = isNew;
    this.#renewed = false;
    this.#watched = this.#events.watched();
    const { channel } = this;
    const join_leave = this.#watched || undefined;
    const params = { channel, token: this.#tokens.current, recoverable: true, join_leave, ...this.resume() };
    this.#connection.issue("subscribe", params, (error, result) => {
      if (turn !== this.#turn) return;
      if (error) this.#failed(error);
      else this.#begin(result as SubscribeResult);
    });
  }

  /** The server subscribed us by itself, now. */
  takeServerSide(result: SubscribeResult): void {
    if (this.#state === "unsubscribed") return;
    this.#serverSide = true;
    this.#begin(result);
  }

  /** The server had subscribed us by itself before the page asked: go on from its stream. */
  inherit(stream: Stream, live: boolean): void {
    this.#serverSide = true;
    this.#stream = stream;
    stream.events = this.#events;
    this.#enter(live ? "subscribed" : "subscribing", OK);
  }

  /** Nobody in the page wants it any more: give back what the server had subscribed us to by itself. */
  handBack(): Stream | undefined {
    if (!this.#serverSide) return undefined;
    const stream = this.#stream;
    this.#serverSide = this.#asked = false;
    this.#stream = new Stream(this.channel, undefined, this.#events);
    this.stop();
    return stream;
  }

  push(push: Push): void {
    if (this.#state === "subscribed") this.#stream.push(push);
  }

  /** The server unsubscribed us. */
  end(code: number, reason: string): void {
    if (this.#state === "unsubscribed") return;
    this.#serverSide = this.#asked = false;
    if (invalidatesState(code)) this.invalidate();
    if (isTerminalUnsubscribe(code)) return this.#stop(code, reason);
    this.#tokens.drop(); // 2501: expired; a new one does no harm in the other cases
    this.#again({ code, reason });
    this.request();
  }

  /** The link is gone; the next one will find us asking. */
  lose(): void {
    this.#quiet();
    this.#asked = false;
    if (this.#state === "subscribed") this.#enter("subscribing", { code: LINK_LOST, reason: "connection lost" });
  }

  /** The server did not subscribe us by itself this time: ask. */
  becomeClientSide(): void {
    this.#serverSide = false;
    this.request();
  }

  invalidate(): void {
    this.#tokens.drop();
    this.#stream.drop();
  }

  #begin(result: SubscribeResult): void {
    this.#turn++;
    this.#retry.reset();
    this.#refresher.plan(result);
    this.#enter("subscribed", OK);
    if (this.#state === "subscribed") this.#stream.begin(result);
  }

  #failed(error: MessageflowError): void {
    this.#asked = false;
    const { code, message } = error;
    const { renewable } = this.#tokens;
    const then = judgeFailure(error, { serverSide: this.#serverSide, renewed: this.#renewed, isNew: this.#isNew, renewable });
    if (then === "none") return;
    if (then === "reset") return this.#connection.reset(`no reply to subscribe to ${this.channel}`);
    if (code === TOKEN_EXPIRED) this.#tokens.drop();
    if (then === "end") {
      this.#stop(code, message);
      return this.#events.onError(new MessageflowError(code, `Not subscribed to ${this.channel}: ${message}`));
    }
    if (then === "later" && code === TOKEN_EXPIRED) this.#events.onError(clockSkewError());
    else if (then === "later" && code === TOKEN_FAILED) this.#events.onError(error);
    this.#again({ code, reason: message });
    if (then === "again") this.request();
    else this.#retry.plan(code);
  }

  #again(detail: Detail): void {
    this.#quiet();
    this.#asked = false;
    this.#enter("subscribing", detail);
  }

  /** Nothing that is under way counts any more. */
  #quiet(tokens = this.#tokens): void {
    this.#turn++;
    this.#retry.clear();
    this.#refresher.stop();
    tokens.abandon();
  }

  #stop(code: number, reason: string): void {
    this.#quiet();
    this.#leave();
    this.#enter("unsubscribed", { code, reason });
  }

  #leave(): void {
    if (this.#connection.isWritable && (this.#asked || this.#serverSide)) {
      this.#connection.issue("unsubscribe", { channel: this.channel }, () => {});
    }
    this.#asked = this.#serverSide = false;
  }

  #enter(state: SubscriptionState, detail: Detail): void {
    this.#state = state;
    this.#detail = detail;
    this.#events.onState(state, detail);
  }
}
