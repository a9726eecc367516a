/**
 * The connection as a state machine: connecting, connected, disconnected.
 *
 * Owns the link of the moment, the connection token and the decision to try again. It must never know what a channel
 * or a message is about; it hands those to its events.
 */

import {
  asError, BAD_FRAME, clockSkewError, CLOSED, closeRule, CONNECTION_EXPIRED, invalidatesState, isTerminalClose,
  LINK_LOST, MessageflowError, STALE, TOKEN_EXPIRED, TOO_LARGE, toText,
} from "./codes.js";
import { Commands, type Done } from "./command-queue.js";
import { LinkChoice } from "./link-choice.js";
import type { Platform } from "./platform.js";
import { type ConnectResult, decodeFrame, isPing, type Method, PONG, type ServerMessage } from "./protocol.js";
import { Refresher } from "./refresher.js";
import { Retry } from "./retry-timer.js";
import type { SessionEvents, SessionOptions, State, StateDetail } from "./state.js";
import type { TokenSource } from "./token.js";
import { Transport } from "./transport.js";
import { VERSION } from "./version.js";

export class Session {
  readonly commands: Commands;
  readonly #platform: Platform;
  readonly #options: SessionOptions;
  readonly #tokens: TokenSource;
  readonly #events: SessionEvents;
  readonly #refresher: Refresher;
  readonly #retry: Retry;
  readonly #links: LinkChoice;
  #state: State = "disconnected";
  #transport: Transport | undefined;
  #isWritable = false;
  #pong = false;
  /** The token of the last attempt was made for it. */
  #isNew = false;
  #told = false;
  #turn = 0;
  /** The page is put away; nothing is opened until it is back. */
  #away = false;
  #unattend: (() => void) | undefined;

  constructor(platform: Platform, options: SessionOptions, tokens: TokenSource, events: SessionEvents) {
    this.#platform = platform;
    this.#options = options;
    this.#tokens = tokens;
    this.#events = events;
    this.#retry = new Retry(platform, () => void this.#open());
    this.#links = new LinkChoice(platform, options.url, () => this.reset("a WebSocket gets through again"));
    this.commands = new Commands(platform, options.commandTimeout);
    this.#refresher = new Refresher(platform, () => tokens, {
      send: (token, done) => this.commands.call("refresh", { token }, done),
      onRefused: ({ code, message }) => this.#stop(code, message),
      onError: (error) => events.onError(error),
    });
  }

  get state(): State { return this.#state; }

  /** Whether commands can be written, be it ahead of the reply to `connect`. */
  get isWritable(): boolean { return this.#isWritable; }

  connect(): void {
    if (this.#state !== "disconnected") return;
    this.#retry.reset();
    this.#away = false;
    this.commands.reopen();
    this.#unattend = this.#platform.attend({ wake: () => this.wake(), depart: () => this.depart() });
    this.#enter("connecting", { code: 0, reason: "connect" });
    void this.#open();
  }

  /** Start over at once, with a new token: after a login or a logout. */
  reconnect(): void {
    this.#tokens.drop();
    this.#release();
    if (this.#state === "disconnected") return this.connect();
    this.#retry.reset();
    this.#enter("connecting", { code: 0, reason: "reconnect" });
    void this.#open();
  }

  close(): void {
    if (this.#state !== "disconnected") this.#stop(0, "closed by the page");
  }

  /** The page or the network is back: end a wait, and do not trust a link that has been silent. */
  wake(): void {
    if (this.#away || this.#retry.isSet) {
      this.#away = false;
      void this.#open();
    } else if (this.#state === "connected") {
      if (this.#transport?.probe(this.#options.connectTimeout)) this.issue("ping", {}, () => {});
    } else this.#transport?.check();
  }

  /** The page is put away: say goodbye, so that the server knows at once, and let `wake()` go on from here. */
  depart(): void {
    if (this.#away) return; // first hidden, then frozen
    this.#away = true;
    this.#release(true);
    this.#enter("connecting", { code: 0, reason: "the page is put away" });
  }

  /** Issue a command on the open link, even ahead of the reply to `connect`. */
  issue(method: Method, params: object, done: Done): void {
    this.commands.first(method, params, done, (line) => this.#transport?.write(line));
  }

  /** Give the link up and try again. */
  reset(reason: string): void {
    this.#ended(LINK_LOST, reason);
  }

  async #open(): Promise<void> {
    this.#retry.clear();
    const turn = ++this.#turn;
    if (this.#away) return;
    try {
      this.#isNew = !this.#tokens.ready;
      const token = this.#isNew ? await this.#tokens.get() : this.#tokens.current;
      if (turn !== this.#turn) return;
      this.#transport = new Transport(this.#platform, this.#links.open(), this.#options.connectTimeout, {
        onOpen: () => this.#hello(token),
        onFrame: (frame) => this.#read(frame),
        onEnd: (code, reason) => this.#ended(code, reason),
      });
    } catch (error) {
      if (turn !== this.#turn) return;
      // What the WebSocket constructor throws (a bad URL, ws: in an https: page) will be thrown again.
      const failure = asError(error, CLOSED, "");
      if (failure.temporary) this.#events.onError(failure);
      this.#again(failure);
    }
  }

  #hello(token: string | undefined): void {
    this.#isWritable = true;
    const params = { token, ...this.#events.resume(), name: "messageflow-js", version: VERSION };
    this.issue("connect", params, (error, result) => {
      if (!error) this.#accepted(result as ConnectResult, !!token);
      else if (error.code !== LINK_LOST) this.#refused(error);
    });
    this.#events.onLink();
  }

  #accepted(result: ConnectResult, withToken: boolean): void {
    const transport = this.#transport;
    this.#told = false;
    this.#links.accepted();
    this.#retry.reset(); // not before: a socket that opens and is refused must not make us eager
    this.#pong = !!result.pong;
    transport?.expectPings(result.ping);
    this.#refresher.plan(result);
    this.#events.onAccepted(result, withToken);
    this.#enter("connected", { code: 0, reason: "connected", ...(result.data !== undefined && { data: result.data }) });
    // A handler may have closed, or even closed and connected again.
    if (transport === this.#transport) this.#events.onSubs(result.subs ?? {});
    if (transport === this.#transport) this.commands.open((line) => transport?.write(line));
  }

  #refused(error: MessageflowError): void {
    if (error.code === TOKEN_EXPIRED) this.#tokens.drop();
    this.#lose();
    this.#again(error);
  }

  #read(frame: string): void {
    const transport = this.#transport;
    try {
      for (const message of decodeFrame(frame)) {
        if (transport !== this.#transport) return;
        this.#take(message);
      }
    } catch (error) {
      if (transport !== this.#transport) return;
      this.#events.onError(new MessageflowError(BAD_FRAME, `The server sent a bad frame: ${toText(error)}`));
      this.#ended(BAD_FRAME, "bad frame");
    }
  }

  #take(message: ServerMessage): void {
    const { push } = message;
    if (message.id) this.commands.settle(message);
    else if (push?.disconnect) this.#ended(push.disconnect.code ?? 0, push.disconnect.reason ?? "");
    else if (push?.refresh) this.#refresher.plan(push.refresh);
    else if (push) this.#events.onPush(push);
    else if (this.#pong && isPing(message)) this.#transport?.write(PONG);
  }

  #ended(code: number, reason: string): void {
    this.#links.ended(code);
    const spared = code === STALE || (code === TOO_LARGE && this.commands.refuseLargest());
    this.#lose();
    if (code === CONNECTION_EXPIRED || invalidatesState(code)) this.#tokens.drop();
    if (invalidatesState(code)) this.#events.onInvalidate();
    if (isTerminalClose(code) && !spared) return this.#stop(code, reason);
    this.#plan(code, reason);
    const tell = this.#told ? undefined : closeRule(code)?.tell;
    this.#told ||= !!tell; // once, however often it is tried again
    if (tell) this.#events.onError(new MessageflowError(code, tell(reason), true));
  }

  /** Try again after a refusal, if that may help. */
  #again({ code, message, temporary }: MessageflowError): void {
    const renewable = code === TOKEN_EXPIRED && this.#tokens.renewable;
    // A token that expired during an absence has been waited for already; one that is new and has, has not.
    if (renewable && this.#isNew) this.#events.onError(clockSkewError());
    if (renewable && !this.#isNew) this.#plan(code, message, true);
    else if (temporary || renewable) this.#plan(code, message);
    else if (code === TOKEN_EXPIRED) this.#stop(code, `${message}; give tokenUrl or getToken to have it renewed`);
    else this.#stop(code, message);
  }

  #plan(code: number, reason: string, atOnce = false): void {
    const retryIn = this.#retry.plan(code, atOnce);
    this.#enter("connecting", { code, reason, retryIn });
  }

  #stop(code: number, reason: string): void {
    this.#release();
    this.#unattend?.();
    this.commands.close(reason);
    this.#enter("disconnected", { code, reason });
  }

  /** Let go of all that is under way; `same` says that the next link will be of the same user. */
  #release(same = false): void {
    this.#turn++; // what is still being waited for is of no interest any more
    this.#retry.clear();
    this.#links.stop();
    this.#lose(same);
  }

  #lose(same = true): void {
    this.#isWritable = false;
    this.#refresher.stop();
    this.#transport?.close();
    this.#transport = undefined;
    this.commands.lose(same);
    this.#events.onLost();
  }

  #enter(state: State, detail: StateDetail): void {
    this.#state = state;
    this.#events.onState(state, detail);
  }
}
