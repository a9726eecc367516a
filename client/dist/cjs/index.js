/*! messageflow 0.1.0 | BSD-3-Clause | (c) the messageflow developers */
"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// src/index.ts
var index_exports = {};
__export(index_exports, {
  MessageflowError: () => MessageflowError,
  connect: () => connect,
  createSocket: () => createSocket,
  setBase: () => setBase,
  setDefaults: () => setDefaults,
  status: () => status,
  version: () => VERSION
});
module.exports = __toCommonJS(index_exports);

// src/codes.ts
var INTERNAL = 100;
var TOKEN_EXPIRED = 109;
var ALREADY_SUBSCRIBED = 105;
var LIMIT_EXCEEDED = 106;
var OUTCOME_UNKNOWN = 113;
var TIMEOUT = 1;
var LINK_LOST = 2;
var QUEUE_FULL = 3;
var CLOSED = 4;
var UNAUTHORIZED = 5;
var TOKEN_FAILED = 6;
var UNSUBSCRIBED = 7;
var BAD_FRAME = 8;
var HANDLER_FAILED = 9;
var NOT_JSON = 10;
var STATE_FAILED = 11;
var TOO_LARGE = 1009;
var CONNECTION_EXPIRED = 3005;
var STALE = 3502;
var FORCE_DISCONNECT = 3503;
var CROWDED = {
  pace: "slow",
  tell: (reason) => `Too many connections of this user (${reason}): tried again, slowly.`
};
var CLOSE_RULES = {
  3401: { pace: "restart" },
  // the server starts again and will be back in a moment
  3404: CROWDED,
  // some will go
  3504: CROWDED
  // what older gateways say
};
var STATE_INVALIDATED = 3014;
var SUBSCRIPTION_INVALIDATED = 2502;
var MessageflowError = class extends Error {
  /**
   * @param code below 100: of this client; otherwise the server's error or close code.
   * @param message a sentence for people.
   * @param temporary whether trying again may help.
   */
  constructor(code, message, temporary = false, options = {}) {
    super(message, options);
    this.code = code;
    this.temporary = temporary;
    this.unknown = !!options.unknown;
  }
  code;
  temporary;
  name = "MessageflowError";
  #own = true;
  /** Whether what was asked may have been done all the same: to ask again may do it twice. */
  unknown;
  /** Whether this client made it. Looks at nothing that answers: what was thrown may be a proxy that throws itself. */
  static isOwn(error) {
    return typeof error === "object" && !!error && #own in error;
  }
};
function toText(error) {
  try {
    return String(error);
  } catch {
    return "something that cannot be shown was thrown";
  }
}
function asError(error, code, text, temporary = false) {
  if (MessageflowError.isOwn(error)) return error;
  return new MessageflowError(code, text + toText(error), temporary, { cause: error });
}
function clockSkewError() {
  const message = "A fresh token was refused as expired: compare the clocks of its maker and the gateway.";
  return new MessageflowError(TOKEN_EXPIRED, message, true);
}
function checkFunction(name, given) {
  if (typeof given !== "function") throw new TypeError(`${name} must be a function, not ${typeof given}.`);
}
function logError(...words) {
  try {
    console.error("messageflow:", ...words);
  } catch {
  }
}
function replyError(reply) {
  return new MessageflowError(reply.code, reply.message || `error ${reply.code}`, !!reply.temporary || reply.code < 100);
}
var FROM_SERVER = 3e3;
function isTerminalClose(code) {
  return (code >= 3500 && code < 4e3 || code >= 4500 && code < 5e3 || code === TOO_LARGE) && !closeRule(code);
}
function closeRule(code) {
  return CLOSE_RULES[code];
}
function isTerminalUnsubscribe(code) {
  return code < 2500;
}
function invalidatesState(code) {
  return code === STATE_INVALIDATED || code === SUBSCRIPTION_INVALIDATED;
}

// src/emitter.ts
var Emitter = class {
  #entries = [];
  #report;
  /** @param report is told of what a handler threw, or of what its promise rejected with. It must not throw. */
  constructor(report) {
    this.#report = report;
  }
  /** How many listen who may act. */
  get size() {
    return this.#entries.filter(({ handler }) => !handler?.quiet).length;
  }
  /** Add a handler; undefined is let pass, so that optional handlers need no test. */
  on(handler) {
    if (handler === void 0) return () => {
    };
    checkFunction("A handler", handler);
    const entry = { handler };
    this.#entries = [...this.#entries, entry];
    return () => {
      entry.handler = void 0;
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
  }
  /** Call those who listen now; handlers added meanwhile count from the next time, those taken back are not called. */
  emit(...args) {
    for (const { handler } of this.#entries) {
      try {
        const result = handler?.(...args);
        if (result && typeof result === "object") Promise.resolve(result).catch(this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
  }
};

// src/actions.ts
var MOST_TOLD = 50;
var Actions = class {
  #report;
  #byType = /* @__PURE__ */ new Map();
  #all;
  #unknown;
  #told = /* @__PURE__ */ new Set();
  constructor(report) {
    this.#report = report;
    this.#all = new Emitter(report);
    this.#unknown = new Emitter(report);
  }
  on(type, handler) {
    const emitter = this.#byType.get(type) ?? new Emitter(this.#report);
    const off = emitter.on(handler);
    this.#byType.set(type, emitter);
    return () => {
      off();
      if (!emitter.size && this.#byType.get(type) === emitter) this.#byType.delete(type);
    };
  }
  onMessage(handler) {
    return this.#all.on(handler);
  }
  onUnknown(handler) {
    return this.#unknown.on(handler);
  }
  /** Hand a push to those who asked for its type, and to those who asked for all. */
  route(data, context) {
    const action = isAction(data) ? data : void 0;
    const emitter = action && this.#byType.get(action.type);
    const known = emitter && emitter.size > 0;
    if (action) {
      emitter?.emit(action.payload, context);
      this.#all.emit(action, context);
    }
    if (known) return;
    this.#unknown.emit(data, context);
    if (!this.#unknown.size && !(action && this.#all.size)) this.#tell(action ? action.type : "(no type)", context);
  }
  #tell(type, { channel }) {
    if (this.#told.has(type) || this.#told.size >= MOST_TOLD) return;
    this.#told.add(type);
    try {
      console.debug(`messageflow: nobody handles "${type}" from ${channel}; add flow.on(…) or flow.onUnknown(…).`);
    } catch {
    }
  }
};
function isAction(data) {
  return !!data && typeof data.type === "string";
}

// src/backoff.ts
var BASE_MS = 500;
var CAP_MS = 2e4;
var SLOW_BASE_MS = 1e4;
var SLOW_CAP_MS = 5e4;
var RESTART_BASE_MS = 100;
var RESTART_CAP_MS = 1e3;
var RESTART_TRIES = 60;
function backoff(attempt, random, base2 = BASE_MS, cap = CAP_MS) {
  return Math.floor(random * Math.min(cap, base2 * 2 ** attempt));
}
function slowBackoff(attempt, random) {
  return SLOW_BASE_MS + backoff(attempt, random, SLOW_BASE_MS, SLOW_CAP_MS);
}
function restartBackoff(attempt, random) {
  return attempt < RESTART_TRIES ? backoff(attempt, random, RESTART_BASE_MS, RESTART_CAP_MS) : backoff(attempt, random);
}

// src/timer.ts
var LONGEST_MS = 2 ** 31 - 1;
var Timer = class {
  #timer;
  #set = false;
  #platform;
  constructor(platform) {
    this.#platform = platform;
  }
  get isSet() {
    return this.#set;
  }
  set(action, ms) {
    this.clear();
    this.#set = true;
    this.#timer = this.#platform.setTimer(() => {
      this.#set = false;
      action();
    }, Math.min(ms, LONGEST_MS));
  }
  clear() {
    if (this.#set) this.#platform.clearTimer(this.#timer);
    this.#set = false;
  }
};

// src/refresher.ts
var RETRY_BASE_MS = 2e3;
function refreshDelay(ttl, random) {
  return Math.max(0, ttl) * (750 + 100 * random);
}
var Refresher = class {
  #platform;
  #tokens;
  #events;
  #timer;
  #attempt = 0;
  #turn = 0;
  /** @param tokens gives the source in use: it may change while a right goes on. */
  constructor(platform, tokens, events) {
    this.#platform = platform;
    this.#tokens = tokens;
    this.#events = events;
    this.#timer = new Timer(platform);
  }
  /** Plan by what the server says of the life of the right; without an end, or a way to a token, there is no plan. */
  plan({ expires, ttl }) {
    this.stop();
    this.#attempt = 0;
    if (expires && this.#tokens().renewable) this.#wait(refreshDelay(ttl ?? 0, this.#platform.random()));
  }
  /** Plan nothing, and wait for no token any more. */
  stop() {
    this.#turn++;
    this.#timer.clear();
    this.#tokens().abandon();
  }
  #wait(ms) {
    this.#timer.set(() => void this.#refresh(), ms);
  }
  async #refresh() {
    const turn = ++this.#turn;
    try {
      const token = await this.#tokens().renew();
      if (turn !== this.#turn) return;
      this.#events.send(token ?? "", (error, result) => {
        if (turn !== this.#turn) return;
        if (error) this.#failed(error);
        else this.plan(result);
      });
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
  }
  #failed(error) {
    if (!error.temporary && error.code !== TOKEN_EXPIRED) return this.#events.onRefused(error);
    this.#events.onError(error.code === TOKEN_EXPIRED ? clockSkewError() : error);
    this.#wait(RETRY_BASE_MS / 2 + backoff(this.#attempt++, this.#platform.random(), RETRY_BASE_MS));
  }
};

// src/retry-timer.ts
var Retry = class {
  #platform;
  #timer;
  #action;
  #attempt = 0;
  /** The server said that it starts again at once. */
  #restarting = false;
  /** @param action makes an attempt. */
  constructor(platform, action) {
    this.#platform = platform;
    this.#timer = new Timer(platform);
    this.#action = action;
  }
  /** Whether an attempt is planned. */
  get isSet() {
    return this.#timer.isSet;
  }
  /** The next wait is a first one: somebody has asked for an attempt, or one has succeeded. */
  reset() {
    this.#attempt = 0;
    this.#restarting = false;
  }
  clear() {
    this.#timer.clear();
  }
  /**
   * Plan the next attempt by why the last one, or what it led to, has ended.
   *
   * @returns milliseconds until then.
   */
  plan(code, atOnce = false) {
    const pace = closeRule(code)?.pace;
    if (pace === "restart") this.#restarting = true;
    const wait = pace === "slow" ? slowBackoff : this.#restarting ? restartBackoff : backoff;
    const ms = atOnce ? 0 : wait(this.#attempt, this.#platform.random());
    this.#attempt++;
    this.#timer.set(this.#action, ms);
    return ms;
  }
};

// src/context.ts
function contextOf(channel, { offset, info, tags }, position, recovered) {
  return {
    channel,
    recovered,
    ...offset && { offset },
    ...offset && position && { epoch: position.epoch },
    ...info && { info },
    ...tags && { tags }
  };
}

// src/position.ts
var Track = class {
  #position;
  #seen;
  /** @param since where the stream stood when the page was made, which has in effect been away since then. */
  constructor(since2) {
    this.#position = since2;
    this.#seen = !!since2;
  }
  get position() {
    return this.#position;
  }
  /** What a subscribe request carries to resume here, or nothing to resume from. */
  resume() {
    return this.#position ? { recover: true, ...this.#position } : {};
  }
  /**
   * Take over the result of a subscription.
   *
   * @returns whether everything since the last one was recovered; undefined for the first, which has missed nothing.
   */
  begin(result) {
    const again = this.#seen;
    const recovered = !!result.recovered;
    this.#seen = true;
    if (!recovered || !this.#position) {
      this.#position = result.epoch ? positionAt(result.epoch, recovered ? 0 : result.offset ?? 0, result.tag) : void 0;
    }
    return again ? recovered : void 0;
  }
  /** Judge a publication, or so many up to it, and step to it. Publications without an offset belong to channels without history. */
  accept({ offset, tag }, count = 1) {
    const last = this.#position;
    if (!offset || !last) return "new";
    if (offset <= last.offset) return "duplicate";
    this.#position = positionAt(last.epoch, offset, tag);
    return offset - count > last.offset ? "gap" : "new";
  }
  /** Forget the position; the next subscription starts at the top, and is told that it could not recover. */
  drop() {
    this.#position = void 0;
  }
};
function positionAt(epoch, offset, tag) {
  return { epoch, offset, ...tag !== void 0 && { tag } };
}

// src/stream.ts
var Stream = class {
  #channel;
  #track;
  /** Whoever has the stream now; it may change hands. */
  events;
  constructor(channel, since2, events) {
    if (events) this.events = events;
    this.#channel = channel;
    this.#track = new Track(since2);
  }
  /** What a request carries to resume here. */
  resume() {
    return this.#track.resume();
  }
  drop() {
    this.#track.drop();
  }
  /** Go live by the result of a subscription, handing out what was published meanwhile. */
  begin(result) {
    const recovered = this.#track.begin(result);
    if (recovered !== void 0) this.events.onRecovery(recovered);
    for (const publication of result.publications ?? []) this.#deliver(publication, true);
  }
  /** Hand out what was published, or go on past what is not for this client. */
  push({ pub, moved }) {
    if (pub) this.#deliver(pub, false);
    else if (moved && this.#track.accept(moved, moved.count) === "gap") this.events.onRecovery(false);
  }
  #deliver(publication, recovered) {
    const verdict = this.#track.accept(publication);
    if (verdict === "duplicate") return;
    if (verdict === "gap" && !recovered) this.events.onRecovery(false);
    this.events.onPublication(publication.data, contextOf(this.#channel, publication, this.#track.position, recovered));
  }
};

// src/subscription-failure.ts
function judgeFailure({ code, temporary }, { serverSide, renewed, isNew, renewable }) {
  if (code === LINK_LOST || code === ALREADY_SUBSCRIBED && serverSide) return "none";
  if (code === TIMEOUT) return "reset";
  const expired = code === TOKEN_EXPIRED && renewable;
  if (renewed || expired && !isNew) return "again";
  return temporary || expired ? "later" : "end";
}

// src/subscription-machine.ts
var OK = { code: 0, reason: "" };
var SubscriptionMachine = class {
  channel;
  #connection;
  #events;
  #refresher;
  #retry;
  #tokens;
  #stream;
  #state = "unsubscribed";
  #detail = OK;
  /** Whether joins and leaves were asked for. */
  #watched = false;
  /** Whether there is a token that the request under way did not carry. */
  #renewed = false;
  #serverSide = false;
  #asked = false;
  /** The token of the last request was made for it. */
  #isNew = false;
  #turn = 0;
  constructor(platform, connection, channel, tokens, events) {
    this.channel = channel;
    this.#connection = connection;
    this.#tokens = tokens;
    this.#events = events;
    this.#stream = new Stream(this.channel, void 0, this.#events);
    this.#retry = new Retry(platform, () => this.request());
    this.#refresher = new Refresher(platform, () => this.#tokens, {
      send: (token, done) => connection.issue("sub_refresh", { channel, token }, done),
      onRefused: (error) => this.#stop(error.code, error.message),
      onError: (error) => events.onError(error)
    });
  }
  get state() {
    return this.#state;
  }
  get detail() {
    return this.#detail;
  }
  /** Whether the server subscribed us by itself: then the position travels with `connect`. */
  get isServerSide() {
    return this.#serverSide;
  }
  /** What a request carries to resume here. */
  resume() {
    return this.#stream.resume();
  }
  /** Want the channel; whoever starts calls `request()` too, once all that it carries is known. */
  start() {
    if (this.#state !== "unsubscribed") return;
    this.#retry.reset();
    this.#enter("subscribing", OK);
  }
  /** Have the next token from here. One that has proved good goes on. */
  use(tokens) {
    if (tokens === this.#tokens) return;
    const before = this.#tokens;
    this.#tokens = tokens;
    if (this.#state === "subscribed") tokens.inherit(before.current);
    if (this.#state !== "subscribing") return;
    this.#renewed = tokens.given;
    if (this.#asked) return;
    this.#quiet(before);
    this.request();
  }
  stop() {
    if (this.#state !== "unsubscribed") this.#stop(0, "unsubscribed by the page");
  }
  /** Joins and leaves are wanted: ask anew if they were not asked for. */
  watch() {
    if (!this.#asked || this.#serverSide || this.#watched) return;
    this.#leave();
    this.#again(OK);
    this.request();
  }
  /** Ask the server, if there is someone to ask and all that is needed is at hand. */
  request(isNew = false) {
    if (this.#state !== "subscribing" || this.#asked || this.#serverSide || !this.#connection.isWritable) return;
    this.#retry.clear();
    const turn = ++this.#turn;
    if (!this.#tokens.ready) {
      this.#tokens.get().then(
        () => turn === this.#turn && this.request(true),
        (error) => turn === this.#turn && this.#failed(error)
      );
      return;
    }
    this.#asked = true;
    this.#isNew = isNew;
    this.#renewed = false;
    this.#watched = this.#events.watched();
    const { channel } = this;
    const join_leave = this.#watched || void 0;
    const params = { channel, token: this.#tokens.current, recoverable: true, join_leave, ...this.resume() };
    this.#connection.issue("subscribe", params, (error, result) => {
      if (turn !== this.#turn) return;
      if (error) this.#failed(error);
      else this.#begin(result);
    });
  }
  /** The server subscribed us by itself, now. */
  takeServerSide(result) {
    if (this.#state === "unsubscribed") return;
    this.#serverSide = true;
    this.#begin(result);
  }
  /** The server had subscribed us by itself before the page asked: go on from its stream. */
  inherit(stream, live) {
    this.#serverSide = true;
    this.#stream = stream;
    stream.events = this.#events;
    this.#enter(live ? "subscribed" : "subscribing", OK);
  }
  /** Nobody in the page wants it any more: give back what the server had subscribed us to by itself. */
  handBack() {
    if (!this.#serverSide) return void 0;
    const stream = this.#stream;
    this.#serverSide = this.#asked = false;
    this.#stream = new Stream(this.channel, void 0, this.#events);
    this.stop();
    return stream;
  }
  push(push) {
    if (this.#state === "subscribed") this.#stream.push(push);
  }
  /** The server unsubscribed us. */
  end(code, reason) {
    if (this.#state === "unsubscribed") return;
    this.#serverSide = this.#asked = false;
    if (invalidatesState(code)) this.invalidate();
    if (isTerminalUnsubscribe(code)) return this.#stop(code, reason);
    this.#tokens.drop();
    this.#again({ code, reason });
    this.request();
  }
  /** The link is gone; the next one will find us asking. */
  lose() {
    this.#quiet();
    this.#asked = false;
    if (this.#state === "subscribed") this.#enter("subscribing", { code: LINK_LOST, reason: "connection lost" });
  }
  /** The server did not subscribe us by itself this time: ask. */
  becomeClientSide() {
    this.#serverSide = false;
    this.request();
  }
  invalidate() {
    this.#tokens.drop();
    this.#stream.drop();
  }
  #begin(result) {
    this.#turn++;
    this.#retry.reset();
    this.#refresher.plan(result);
    this.#enter("subscribed", OK);
    if (this.#state === "subscribed") this.#stream.begin(result);
  }
  #failed(error) {
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
  #again(detail) {
    this.#quiet();
    this.#asked = false;
    this.#enter("subscribing", detail);
  }
  /** Nothing that is under way counts any more. */
  #quiet(tokens = this.#tokens) {
    this.#turn++;
    this.#retry.clear();
    this.#refresher.stop();
    tokens.abandon();
  }
  #stop(code, reason) {
    this.#quiet();
    this.#leave();
    this.#enter("unsubscribed", { code, reason });
  }
  #leave() {
    if (this.#connection.isWritable && (this.#asked || this.#serverSide)) {
      this.#connection.issue("unsubscribe", { channel: this.channel }, () => {
      });
    }
    this.#asked = this.#serverSide = false;
  }
  #enter(state, detail) {
    this.#state = state;
    this.#detail = detail;
    this.#events.onState(state, detail);
  }
};

// src/shared-subscription.ts
var SharedSubscription = class {
  machine;
  #events;
  #holders = [];
  constructor(platform, connection, channel, tokens, events) {
    this.#events = events;
    this.machine = new SubscriptionMachine(platform, connection, channel, tokens, {
      watched: () => this.#holders.some(({ watches }) => watches),
      onPublication: (data, context) => this.#each((holder) => holder.onPublication(data, context)),
      onState: (state, detail) => this.#each((holder) => holder.onState(state, detail)),
      onRecovery: (recovered) => {
        let whole = true;
        this.#each((holder) => whole = holder.onRecovery(recovered) && whole);
        if (recovered || !whole) events.onRecovery(recovered);
      },
      onError: (error) => {
        let told = false;
        this.#each((holder) => told = holder.onError(error) || told);
        if (!told) events.onError(error);
      }
    });
  }
  get isHeld() {
    return this.#holders.length > 0;
  }
  /** Where its stream stands, to be compared; undefined where it cannot be known. */
  get positionKey() {
    const { epoch, offset } = this.machine.resume();
    return epoch && `${offset} ${epoch}`;
  }
  /** Count somebody in, and subscribe if that is not so already. */
  hold(holder) {
    const { machine } = this;
    const running = machine.state !== "unsubscribed";
    this.#holders = [...this.#holders, holder];
    this.#choose();
    if (running) holder.onState(machine.state, machine.detail);
    else this.restart();
    if (holder.watches) machine.watch();
  }
  /** Subscribe again after the server has ended it. */
  restart() {
    this.machine.start();
    queueMicrotask(() => this.isHeld && this.machine.request());
  }
  /** Count somebody out. Who comes in the same tick, as when a page draws itself anew, finds all as it was. */
  release(holder) {
    this.#holders = this.#holders.filter((other) => other !== holder);
    if (this.isHeld) this.#choose();
    else queueMicrotask(() => this.isHeld || this.#events.onEmpty());
  }
  joined(info) {
    this.#each((holder) => holder.onJoin(info));
  }
  left(info) {
    this.#each((holder) => holder.onLeave(info));
  }
  /** Use the token, or the way to one, of whoever came last with one. */
  #choose() {
    const holder = this.#holders.filter(({ tokens }) => tokens.given).at(-1) ?? this.#holders[0];
    if (holder) this.machine.use(holder.tokens);
  }
  #each(action) {
    this.#holders.forEach(action);
  }
};

// src/channels.ts
var Channels = class {
  #platform;
  #connection;
  #events;
  #streams = /* @__PURE__ */ new Map();
  #shared = /* @__PURE__ */ new Map();
  /** Those that were left, by whoever may come back; void when positions are. */
  #left = /* @__PURE__ */ new WeakSet();
  constructor(platform, connection, since2, events) {
    this.#platform = platform;
    this.#connection = connection;
    this.#events = events;
    for (const [channel, position] of Object.entries(since2 ?? {})) this.#adopt(channel, new Stream(channel, position));
  }
  /**
   * Count somebody in.
   *
   * @param last what they held before: where nobody else holds the channel, it goes on from there.
   * @param live whether the connection stands.
   */
  hold(holder, last, live) {
    const { channel } = holder;
    let shared = this.#shared.get(channel);
    if (!shared) {
      shared = last && this.#left.has(last) ? last : this.#share(holder);
      this.#shared.set(channel, shared);
    }
    const stream = this.#streams.get(channel);
    if (stream) shared.machine.inherit(stream, live);
    this.#streams.delete(channel);
    return shared;
  }
  /** The link is open: every subscription that is wanted may ask. */
  request() {
    this.#each(({ machine }) => machine.request());
  }
  /** The link is gone. */
  lose() {
    this.#each(({ machine }) => machine.lose());
  }
  /** Tokens and positions are void. */
  invalidate() {
    this.#left = /* @__PURE__ */ new WeakSet();
    this.#streams.forEach((stream) => stream.drop());
    this.#each(({ machine }) => machine.invalidate());
  }
  /** Where to resume what the server subscribes us to, for `connect.subs`. */
  positions() {
    const positions = [...this.#streams].map(([channel, stream]) => [channel, stream.resume()]);
    this.#each(({ machine }) => machine.isServerSide && positions.push([machine.channel, machine.resume()]));
    return positions.length ? Object.fromEntries(positions) : void 0;
  }
  /** Go live on what the server subscribed us to by itself when it accepted the connection. */
  begin(subs) {
    const given = new Map(Object.entries(subs));
    for (const channel of this.#streams.keys()) if (!given.has(channel)) this.#streams.delete(channel);
    this.#each(({ machine }) => machine.isServerSide && !given.has(machine.channel) && machine.becomeClientSide());
    given.forEach((result, channel) => this.#takeServerSide(channel, result));
  }
  take(push) {
    const channel = push.channel ?? "";
    const shared = this.#shared.get(channel);
    const stream = this.#streams.get(channel);
    if (push.pub ?? push.moved) (stream ?? shared?.machine)?.push(push);
    else if (push.join) shared?.joined(push.join.info);
    else if (push.leave) shared?.left(push.leave.info);
    else if (push.subscribe) this.#takeServerSide(channel, push.subscribe);
    else if (push.unsubscribe && !this.#streams.delete(channel)) {
      shared?.machine.end(push.unsubscribe.code ?? 0, push.unsubscribe.reason ?? "");
    }
  }
  #share({ channel, tokens }) {
    const shared = new SharedSubscription(this.#platform, this.#connection, channel, tokens, {
      onRecovery: (recovered) => this.#events.onRecovery({ channel, recovered }),
      onError: (error) => this.#events.onError(error),
      onEmpty: () => this.#leave(channel, shared)
    });
    return shared;
  }
  /** Nobody in the page wants it any more; what the server gave by itself goes back to where it was. */
  #leave(channel, shared) {
    if (this.#shared.get(channel) !== shared) return;
    this.#shared.delete(channel);
    this.#left.add(shared);
    const stream = shared.machine.handBack();
    if (stream) this.#adopt(channel, stream);
    else shared.machine.stop();
  }
  #takeServerSide(channel, result) {
    const shared = this.#shared.get(channel);
    if (shared && shared.machine.state !== "unsubscribed") return shared.machine.takeServerSide(result);
    (this.#streams.get(channel) ?? this.#adopt(channel, new Stream(channel))).begin(result);
  }
  #adopt(channel, stream) {
    const { onPublication, onRecovery } = this.#events;
    stream.events = { onPublication, onRecovery: (recovered) => onRecovery({ channel, recovered }) };
    this.#streams.set(channel, stream);
    return stream;
  }
  #each(action) {
    [...this.#shared.values()].forEach(action);
  }
};

// src/client-ids.ts
var FORMER = 8;
var ClientIds = class {
  #ids = [];
  /** The newest one; empty before the first connection. */
  get last() {
    return this.#ids[this.#ids.length - 1] ?? "";
  }
  /** What the next connection goes on from, for its `connect`. */
  get former() {
    return this.#ids.length ? this.#ids : void 0;
  }
  note(id = "") {
    if (id) this.#ids = [...this.#ids, id].slice(-FORMER);
  }
};

// src/requests.ts
var Requests = class {
  #commands;
  /** No two pages' are alike; the server keeps those of different users apart. */
  #prefix;
  #keys = 0;
  constructor(calls, random) {
    this.#commands = calls;
    this.#prefix = [random(), random()].map((number) => number.toString(36).slice(2)).join("");
  }
  async publish(channel, data, { idempotencyKey } = {}) {
    const idempotency_key = this.#checkKey(idempotencyKey, "idempotencyKey");
    await this.#request("publish", { channel: checkChannel(channel), data: checkData(data), idempotency_key });
  }
  async presence(channel) {
    const { presence } = await this.#request("presence", {
      channel: checkChannel(channel)
    });
    return Object.values(presence ?? {});
  }
  async presenceStats(channel) {
    const stats = await this.#request("presence_stats", { channel: checkChannel(channel) });
    return { clients: stats.num_clients ?? 0, users: stats.num_users ?? 0 };
  }
  async history(channel, { limit = 100, since: since2, reverse } = {}) {
    const { publications, epoch, offset } = await this.#request(
      "history",
      { channel: checkChannel(channel), limit, since: since2, reverse }
    );
    return { publications: publications ?? [], epoch: epoch ?? "", offset: offset ?? 0 };
  }
  async emit(name, data, { timeout, key } = {}) {
    const payload = data === void 0 ? data : checkData(data);
    await this.#request("send", { data: { type: checkName(name), payload }, key: this.#checkKey(key, "key") }, timeout);
  }
  async call(name, data, { timeout } = {}) {
    return (await this.#request("rpc", { method: checkName(name), data }, timeout)).data;
  }
  #request(method, params, timeout) {
    return new Promise((resolve, reject) => {
      this.#commands.call(method, params, (error, result) => error ? reject(error) : resolve(result), timeout);
    });
  }
  #checkKey(given, option) {
    const key = given ?? `${this.#prefix}-${++this.#keys}`;
    if (typeof key === "string" && key && key.length <= 128) return key;
    throw new TypeError(`${option} must be a string of 1 to 128 characters.`);
  }
};
function checkChannel(channel) {
  if (typeof channel !== "string" || !channel) throw new TypeError("A channel's name must be a non-empty string.");
  return channel;
}
function checkName(name) {
  if (typeof name !== "string" || !name) throw new TypeError("The name of a handler must be a non-empty string.");
  return name;
}
function refuseUnread(options) {
  for (const option of ["data", "meta"]) {
    if (!(option in options)) continue;
    throw new TypeError(`Nothing would read "${option}": put it into the token (info) or use HTTP.`);
  }
}
function checkData(data) {
  if (data === void 0 || typeof data === "function" || typeof data === "symbol") {
    throw new TypeError(`No data to send: ${typeof data}.`);
  }
  return data;
}

// src/protocol.ts
function encodeCommand(id, method, params) {
  return JSON.stringify({ id, [method]: params });
}
var PONG = "{}";
function decodeFrame(frame) {
  return frame.split("\n").filter((line) => line.trim()).map((line) => {
    const message = JSON.parse(line);
    if (!message || typeof message !== "object") throw new TypeError(`not a message: ${line.slice(0, 80)}`);
    return message;
  });
}
function isPing(message) {
  return !Object.keys(message).length;
}

// src/transport.ts
var FRAME_CHARACTERS = 32768;
var PING_GRACE_MS = 1e4;
var SILENT = 1006;
var Transport = class {
  #platform;
  #events;
  #socket;
  #watchdog;
  #probe;
  #lines = [];
  #characters = 0;
  #allowed;
  #heard;
  #ended = false;
  /** @param allowed how long, in ms, the link may be silent from now on; each sign of life starts it anew. */
  constructor(platform, socket, allowed, events) {
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
  get ended() {
    return this.#ended;
  }
  /** Bear no longer silence from now on than pings so many seconds apart leave; any, where there are none. */
  expectPings(interval) {
    this.#allowed = interval ? interval * 1e3 + PING_GRACE_MS : 0;
    this.#watch();
  }
  /** End now if the link has been silent too long. Called by the timer, and when a page wakes whose timers slept. */
  check() {
    if (this.#ended || !this.#allowed) return;
    if (this.#platform.now() - this.#heard >= this.#allowed) this.#end(SILENT, "no data from the server");
    else this.#watch();
  }
  /**
   * Expect a sign of life within `ms`: the machine may have slept, and the clock with it, or changed its network.
   *
   * @returns whether the other end is to be asked for one.
   */
  probe(ms) {
    this.check();
    if (this.#ended || this.#probe.isSet) return false;
    this.#probe.set(() => this.#end(SILENT, "no answer from the server"), ms);
    return true;
  }
  /** Send a line, in one frame with the other lines of this tick. */
  write(line) {
    if (!this.#lines.length) queueMicrotask(() => this.#flush());
    else if (this.#characters + line.length > FRAME_CHARACTERS) this.#flush();
    this.#lines.push(line);
    this.#characters += line.length + 1;
  }
  /** Let go without a word to `onEnd`. */
  close() {
    this.#ended = true;
    this.#watchdog.clear();
    this.#probe.clear();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
  #flush() {
    const { length } = this.#lines;
    if (length && !this.#ended && this.#socket.readyState === 1) this.#socket.send(this.#lines.join("\n"));
    this.#lines = [];
    this.#characters = 0;
  }
  #watch() {
    if (!this.#allowed) this.#watchdog.clear();
    else this.#watchdog.set(() => this.check(), this.#heard + this.#allowed - this.#platform.now());
  }
  #end(code, reason) {
    if (this.#ended) return;
    this.close();
    this.#events.onEnd(code, reason);
  }
};

// src/command-queue.ts
var REPEATABLE = /* @__PURE__ */ new Set(["publish", "send", "history", "presence", "presence_stats"]);
var ACTS = /* @__PURE__ */ new Set(["publish", "send", "rpc"]);
var MOST = 1e3;
var MOST_CHARACTERS = 2 ** 20;
var Commands = class {
  #platform;
  #timeout;
  /** In flight by id, and those that wait for a connection under the ids they will have. */
  #sent = /* @__PURE__ */ new Map();
  #waiting = /* @__PURE__ */ new Map();
  #write;
  #lastId = 0;
  #characters = 0;
  #closed;
  constructor(platform, timeout) {
    this.#platform = platform;
    this.#timeout = timeout;
  }
  /** Issue a command: now if there is a connection, otherwise as soon as there is one. */
  call(method, params, done, timeout = this.#timeout) {
    if (this.#closed) return done(this.#closed, void 0);
    if (this.#sent.size + this.#waiting.size >= MOST || this.#characters > MOST_CHARACTERS) {
      return done(new MessageflowError(QUEUE_FULL, `${MOST} commands, or 1 MB of them, are unanswered.`, true), void 0);
    }
    this.#make(method, params, done, (call) => this.#go(call), timeout);
  }
  /** Issue a command past the queue, over a link that is not yet a connection. */
  first(method, params, done, write2) {
    this.#make(method, params, done, (call) => this.#send(call, write2), this.#timeout);
  }
  /** Settle the command a reply belongs to. Replies to commands given up are let pass. */
  settle(reply) {
    const id = reply.id ?? 0;
    const call = this.#sent.get(id);
    if (!call) return;
    this.#sent.delete(id);
    const error = reply.error && replyError(reply.error);
    if (error?.code === INTERNAL && call.method === "publish") {
      this.#waiting.set(id, call);
      return call.again.set(() => this.#waiting.delete(id) && this.#go(call), backoff(call.tries, this.#platform.random()));
    }
    if (error) {
      const isFinal = call.method === "send" && !error.temporary;
      return this.#end(call, error, error.code === OUTCOME_UNKNOWN || call.tries > 1 && !isFinal);
    }
    this.#release(call);
    call.done(void 0, reply[call.method] ?? {});
  }
  /** A connection is there: send what waits, in the order it came. */
  open(write2) {
    this.#closed = void 0;
    this.#write = write2;
    for (const call of this.#drain(this.#waiting)) this.#send(call, write2);
  }
  /**
   * The server ends the link over a message that is too large: let the largest command that does something fail for it,
   * alone. Sent again it would end the next link too. Only one that had a frame of its own, of which nothing was read.
   *
   * @returns whether there was one.
   */
  refuseLargest() {
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
  lose(same = false) {
    this.#write = void 0;
    const lost = new MessageflowError(LINK_LOST, "The connection was lost before the reply.", true);
    for (const call of [...this.#drain(this.#sent), ...this.#drain(this.#waiting)]) {
      const { id, method, tries } = call;
      if (!tries || REPEATABLE.has(method) && (same || !ACTS.has(method))) this.#waiting.set(id, call);
      else this.#end(call, lost, true);
    }
  }
  /** Accept commands again, to wait for a connection. */
  reopen() {
    this.#closed = void 0;
  }
  /** There will be no connection until someone asks for one. */
  close(reason) {
    this.lose();
    this.#closed = new MessageflowError(CLOSED, `Not connected: ${reason}. Call connect() first.`);
    for (const call of this.#drain(this.#waiting)) this.#end(call, this.#closed, false);
  }
  /** Encoded before anything else: what cannot be said fails alone, and now, not when the connection opens. */
  #make(method, params, done, go, timeout) {
    const id = ++this.#lastId;
    let line;
    try {
      line = encodeCommand(id, method, params);
    } catch (error) {
      return done(asError(error, NOT_JSON, "This cannot be sent as JSON: "), void 0);
    }
    const [timer, again] = [new Timer(this.#platform), new Timer(this.#platform)];
    const call = { id, method, line, done, timer, again, tries: 0, since: [] };
    this.#characters += line.length;
    timer.set(() => this.#expire(call, timeout), timeout);
    go(call);
  }
  #go(call) {
    if (this.#write) this.#send(call, this.#write);
    else this.#waiting.set(call.id, call);
  }
  #send(call, write2) {
    call.again.clear();
    this.#sent.set(call.id, call);
    const clocks = [this.#platform.now(), this.#platform.wall()];
    if (!call.tries++) call.since = clocks;
    else if (call.method === "send") {
      const age = Math.max(0, ...clocks.map((now, index) => Math.ceil(now - call.since[index])));
      return write2(`${call.line.slice(0, -2)},"age":${age}}}`);
    }
    write2(call.line);
  }
  #expire(call, timeout) {
    const reason = this.#sent.delete(call.id) ? "No reply" : "No connection";
    this.#waiting.delete(call.id);
    this.#end(call, new MessageflowError(TIMEOUT, `${reason} within ${timeout} ms.`, true), call.tries > 0);
  }
  /** @param mayHaveRun whether it may have been carried out. */
  #end(call, error, mayHaveRun) {
    const { method, done } = call;
    this.#release(call);
    if (!mayHaveRun || !ACTS.has(method)) return done(error, void 0);
    const message = `${error.message} It is unknown whether this ${method === "send" ? "emit" : method} was carried out.`;
    done(new MessageflowError(error.code, message, false, { unknown: true }), void 0);
  }
  #release({ line, timer, again }) {
    this.#characters -= line.length;
    timer.clear();
    again.clear();
  }
  /** Empty first, then act: what is called may issue commands. */
  #drain(calls) {
    const entries = [...calls.values()];
    calls.clear();
    return entries;
  }
};

// src/url.ts
var PATH = "/connection/websocket";
var sibling = (name) => (url) => url.replace(/^ws/, "http").replace(PATH, `/connection/${name}`);
var HTTP_STREAM = sibling("http_stream");
var SEND = sibling("emulation");
function hasHttp(url) {
  return url.includes(PATH);
}
function socketUrl(url, page) {
  let parsed;
  try {
    parsed = new URL(url, page);
  } catch {
    throw new TypeError(`"${url}" is no address; give the gateway's, such as "https://push.example.com".`);
  }
  if (parsed.searchParams.has("token") || parsed.searchParams.has("access_token")) {
    throw new TypeError("A token must not stand in a URL; give it as token, tokenUrl or getToken.");
  }
  const protocol = parsed.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(protocol)) throw new TypeError(`"${url}" must begin with ws:, wss:, http: or https:.`);
  const { pathname } = parsed;
  const whole = parsed.protocol[0] === "w" ? pathname !== "/" : pathname.endsWith(PATH);
  const path = whole ? pathname : pathname.replace(/\/*$/, PATH);
  return `${protocol}//${parsed.host}${path}${parsed.search}`;
}

// src/http-socket.ts
var LOST = 1006;
var HttpSocket = class {
  readyState = 1;
  onopen = null;
  onmessage = null;
  onclose = null;
  #platform;
  #url;
  #abort = new AbortController();
  #begun = false;
  #back;
  #waiting = [];
  #sending = false;
  /** @param url of the WebSocket in whose place it is. */
  constructor(platform, url) {
    this.#platform = platform;
    this.#url = url;
    queueMicrotask(() => this.onopen?.(void 0));
  }
  /** The first text opens the stream; later ones follow in their order, joined where they had to wait. */
  send(text) {
    if (this.#begun) {
      this.#waiting.push(text);
      void this.#flush();
    } else {
      this.#begun = true;
      void this.#listen(text);
    }
  }
  close() {
    this.readyState = 3;
    this.#abort.abort();
  }
  async #listen(first) {
    try {
      const answer = await this.#platform.post(HTTP_STREAM(this.#url), first, this.#abort.signal);
      if (!answer.ok) return this.#end(`HTTP ${answer.status}`);
      const reader = answer.body.getReader();
      const decoder = new TextDecoder();
      for (let rest = ""; ; ) {
        const { done, value } = await reader.read();
        if (done) return this.#end("the stream has ended");
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop();
        for (const line of lines) this.#take(line);
      }
    } catch (error) {
      this.#end(String(error));
    }
  }
  #take(line) {
    if (!this.#back) {
      this.#back = JSON.parse(line).connect;
      void this.#flush();
    }
    this.onmessage?.({ data: line });
  }
  async #flush() {
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
  #end(reason) {
    if (this.readyState === 3) return;
    this.close();
    this.onclose?.({ code: LOST, reason });
  }
};

// src/link-choice.ts
var PATIENCE = 2;
var PROVEN_PATIENCE = 6;
var FIRST_LOOK = 3e4;
var LOOK_AGAIN = 3e5;
var LinkChoice = class {
  #platform;
  #url;
  #again;
  #onWebSocket;
  #failed = 0;
  #http = false;
  #keepsHttp = false;
  #isProven = false;
  #isAccepted = false;
  /** @param onWebSocket told, while HTTP is in use, that a WebSocket opens by now. */
  constructor(platform, url, onWebSocket) {
    this.#platform = platform;
    this.#url = url;
    this.#again = new Timer(platform);
    this.#onWebSocket = onWebSocket;
  }
  /** Open the next link. */
  open() {
    this.#again.clear();
    this.#isAccepted = false;
    const beyond = this.#failed - (this.#isProven ? PROVEN_PATIENCE : PATIENCE);
    const turn = beyond >= 0 && beyond % 2 === 0;
    this.#http = hasHttp(this.#url) && this.#platform.canStream && (this.#keepsHttp || turn);
    return this.#http ? new HttpSocket(this.#platform, this.#url) : this.#platform.openSocket(this.#url);
  }
  /** The server has spoken over the link that was opened last. */
  accepted() {
    this.#failed = 0;
    this.#isAccepted = true;
    this.#keepsHttp = this.#http;
    if (this.#http) this.#again.set(() => this.#look(), FIRST_LOOK);
    else this.#isProven = true;
  }
  /** The link that was opened last has ended with this close code. */
  ended(code) {
    this.#again.clear();
    if (this.#isAccepted || code >= FROM_SERVER) return;
    this.#failed++;
    this.#keepsHttp = false;
  }
  /** Nothing is to be looked for any more. */
  stop() {
    this.#again.clear();
  }
  #look() {
    this.#again.set(() => this.#look(), LOOK_AGAIN);
    const probe = this.#platform.openSocket(this.#url);
    probe.onopen = () => {
      probe.close();
      this.#keepsHttp = false;
      this.#onWebSocket();
    };
  }
};

// src/version.ts
var VERSION = "0.1.0";

// src/connection-machine.ts
var Session = class {
  commands;
  #platform;
  #options;
  #tokens;
  #events;
  #refresher;
  #retry;
  #links;
  #state = "disconnected";
  #transport;
  #isWritable = false;
  #pong = false;
  /** The token of the last attempt was made for it. */
  #isNew = false;
  #told = false;
  #turn = 0;
  /** The page is put away; nothing is opened until it is back. */
  #away = false;
  #unattend;
  constructor(platform, options, tokens, events) {
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
      onError: (error) => events.onError(error)
    });
  }
  get state() {
    return this.#state;
  }
  /** Whether commands can be written, be it ahead of the reply to `connect`. */
  get isWritable() {
    return this.#isWritable;
  }
  connect() {
    if (this.#state !== "disconnected") return;
    this.#retry.reset();
    this.#away = false;
    this.commands.reopen();
    this.#unattend = this.#platform.attend({ wake: () => this.wake(), depart: () => this.depart() });
    this.#enter("connecting", { code: 0, reason: "connect" });
    void this.#open();
  }
  /** Start over at once, with a new token: after a login or a logout. */
  reconnect() {
    this.#tokens.drop();
    this.#release();
    if (this.#state === "disconnected") return this.connect();
    this.#retry.reset();
    this.#enter("connecting", { code: 0, reason: "reconnect" });
    void this.#open();
  }
  close() {
    if (this.#state !== "disconnected") this.#stop(0, "closed by the page");
  }
  /** The page or the network is back: end a wait, and do not trust a link that has been silent. */
  wake() {
    if (this.#away || this.#retry.isSet) {
      this.#away = false;
      void this.#open();
    } else if (this.#state === "connected") {
      if (this.#transport?.probe(this.#options.connectTimeout)) this.issue("ping", {}, () => {
      });
    } else this.#transport?.check();
  }
  /** The page is put away: say goodbye, so that the server knows at once, and let `wake()` go on from here. */
  depart() {
    if (this.#away) return;
    this.#away = true;
    this.#release(true);
    this.#enter("connecting", { code: 0, reason: "the page is put away" });
  }
  /** Issue a command on the open link, even ahead of the reply to `connect`. */
  issue(method, params, done) {
    this.commands.first(method, params, done, (line) => this.#transport?.write(line));
  }
  /** Give the link up and try again. */
  reset(reason) {
    this.#ended(LINK_LOST, reason);
  }
  async #open() {
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
        onEnd: (code, reason) => this.#ended(code, reason)
      });
    } catch (error) {
      if (turn !== this.#turn) return;
      const failure = asError(error, CLOSED, "");
      if (failure.temporary) this.#events.onError(failure);
      this.#again(failure);
    }
  }
  #hello(token) {
    this.#isWritable = true;
    const params = { token, ...this.#events.resume(), name: "messageflow-js", version: VERSION };
    this.issue("connect", params, (error, result) => {
      if (!error) this.#accepted(result, !!token);
      else if (error.code !== LINK_LOST) this.#refused(error);
    });
    this.#events.onLink();
  }
  #accepted(result, withToken) {
    const transport = this.#transport;
    this.#told = false;
    this.#links.accepted();
    this.#retry.reset();
    this.#pong = !!result.pong;
    transport?.expectPings(result.ping);
    this.#refresher.plan(result);
    this.#events.onAccepted(result, withToken);
    this.#enter("connected", { code: 0, reason: "connected", ...result.data !== void 0 && { data: result.data } });
    if (transport === this.#transport) this.#events.onSubs(result.subs ?? {});
    if (transport === this.#transport) this.commands.open((line) => transport?.write(line));
  }
  #refused(error) {
    if (error.code === TOKEN_EXPIRED) this.#tokens.drop();
    this.#lose();
    this.#again(error);
  }
  #read(frame) {
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
  #take(message) {
    const { push } = message;
    if (message.id) this.commands.settle(message);
    else if (push?.disconnect) this.#ended(push.disconnect.code ?? 0, push.disconnect.reason ?? "");
    else if (push?.refresh) this.#refresher.plan(push.refresh);
    else if (push) this.#events.onPush(push);
    else if (this.#pong && isPing(message)) this.#transport?.write(PONG);
  }
  #ended(code, reason) {
    this.#links.ended(code);
    const spared = code === STALE || code === TOO_LARGE && this.commands.refuseLargest();
    this.#lose();
    if (code === CONNECTION_EXPIRED || invalidatesState(code)) this.#tokens.drop();
    if (invalidatesState(code)) this.#events.onInvalidate();
    if (isTerminalClose(code) && !spared) return this.#stop(code, reason);
    this.#plan(code, reason);
    const tell = this.#told ? void 0 : closeRule(code)?.tell;
    this.#told ||= !!tell;
    if (tell) this.#events.onError(new MessageflowError(code, tell(reason), true));
  }
  /** Try again after a refusal, if that may help. */
  #again({ code, message, temporary }) {
    const renewable = code === TOKEN_EXPIRED && this.#tokens.renewable;
    if (renewable && this.#isNew) this.#events.onError(clockSkewError());
    if (renewable && !this.#isNew) this.#plan(code, message, true);
    else if (temporary || renewable) this.#plan(code, message);
    else if (code === TOKEN_EXPIRED) this.#stop(code, `${message}; give tokenUrl or getToken to have it renewed`);
    else this.#stop(code, message);
  }
  #plan(code, reason, atOnce = false) {
    const retryIn = this.#retry.plan(code, atOnce);
    this.#enter("connecting", { code, reason, retryIn });
  }
  #stop(code, reason) {
    this.#release();
    this.#unattend?.();
    this.commands.close(reason);
    this.#enter("disconnected", { code, reason });
  }
  /** Let go of all that is under way; `same` says that the next link will be of the same user. */
  #release(same = false) {
    this.#turn++;
    this.#retry.clear();
    this.#links.stop();
    this.#lose(same);
  }
  #lose(same = true) {
    this.#isWritable = false;
    this.#refresher.stop();
    this.#transport?.close();
    this.#transport = void 0;
    this.commands.lose(same);
    this.#events.onLost();
  }
  #enter(state, detail) {
    this.#state = state;
    this.#events.onState(state, detail);
  }
};

// src/presence-count.ts
var DEBOUNCE_MS = 250;
function watchPresenceCount(subscription, platform, report, handler) {
  const timer = new Timer(platform);
  const counts = new Emitter(report);
  const ask = () => {
    subscription.presenceStats().then(
      (count) => subscription.state === "subscribed" && counts.emit(count),
      // Where the link has gone, or the subscription, the next one asks again. What the server says is told.
      (error) => error.code > UNSUBSCRIBED && counts.size > 0 && report(error)
    );
  };
  const soon = () => {
    if (!timer.isSet) timer.set(ask, DEBOUNCE_MS);
  };
  const offs = [
    counts.on(handler),
    subscription.onJoin(soon),
    subscription.onLeave(soon),
    subscription.onState((state) => {
      timer.clear();
      if (state === "subscribed") ask();
    }),
    () => timer.clear()
  ];
  if (subscription.state === "subscribed") ask();
  return () => offs.forEach((off) => off());
}

// src/attempt.ts
var Attempt = class {
  #platform;
  #abandon = () => {
  };
  constructor(platform) {
    this.#platform = platform;
  }
  /**
   * Ask; what was asked before is given up.
   *
   * @param ask is given what says when its answer is waited for no more.
   */
  async run(ask, ms) {
    this.abandon();
    const timer = new Timer(this.#platform);
    const aborter = new AbortController();
    const { signal } = aborter;
    const abandoned = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    this.#abandon = () => aborter.abort(new Error("abandoned"));
    timer.set(() => aborter.abort(new Error(`no answer within ${ms} ms`)), ms);
    try {
      return await Promise.race([ask(signal), abandoned]);
    } finally {
      timer.clear();
      aborter.abort();
    }
  }
  /** Give up what is under way: its outcome counts no more, and its connection and its timer are gone. */
  abandon() {
    this.#abandon();
  }
};

// src/snapshot.ts
var TIMEOUT_MS = 3e4;
var MOST_HELD = 1e4;
var Snapshot = class {
  #getState;
  #host;
  #attempt;
  #retry;
  /** What was published since the state was asked for; undefined while it is not. */
  #held;
  /** Up to where the state has all; undefined where there is none. */
  #floor;
  constructor(platform, getState, host) {
    checkFunction("getState", getState);
    this.#getState = getState;
    this.#host = host;
    this.#attempt = new Attempt(platform);
    this.#retry = new Retry(platform, () => this.attend("subscribed"));
  }
  /** The state of before is of no use any more. */
  renew(state) {
    this.#floor = void 0;
    this.#stop();
    this.attend(state);
  }
  /** Where the subscription is live fetch the state, unless it is there or on its way; where there is none, wait for none. */
  attend(state) {
    if (state === "unsubscribed") this.#stop();
    else if (state === "subscribed" && !this.#floor && !this.#held) void this.#load(this.#held = []);
  }
  /** Hand out a publication, unless the state has it. */
  take(data, context) {
    const floor = this.#floor;
    if (floor) {
      if (context.epoch !== floor.epoch || (context.offset ?? 0) > floor.offset) this.#host.deliver(data, context);
    } else if ((this.#held?.push([data, context]) ?? 0) > MOST_HELD) this.#attempt.abandon();
  }
  /** What there is stays. */
  #stop() {
    this.#held = void 0;
    this.#attempt.abandon();
    this.#retry.clear();
  }
  async #load(held) {
    const { channel, resume, onError } = this.#host;
    this.#retry.clear();
    try {
      await null;
      if (held !== this.#held) return;
      const { epoch, offset = 0 } = resume();
      const at = await this.#attempt.run(async (signal) => this.#getState({ signal }), TIMEOUT_MS);
      if (held !== this.#held) return;
      if (!epoch || at?.epoch !== epoch || !(at.offset >= offset)) {
        throw new Error("it must return where the channel stood after it was called");
      }
      this.#floor = at;
      this.#retry.reset();
      held.forEach((each) => this.take(...each));
    } catch (error) {
      if (held !== this.#held) return;
      onError(asError(error, STATE_FAILED, `Could not get the state of ${channel}: `, true));
      this.#retry.plan(STATE_FAILED);
    } finally {
      if (held === this.#held) this.#held = void 0;
    }
  }
};

// src/token.ts
var JWT = /^[\w-]+\.[\w-]+\.[\w-]*$/;
var FETCH_TIMEOUT_MS = 1e4;
var TokenSource = class {
  /** Whether a token was given, or a way to one. */
  given;
  #fetch;
  #attempt;
  #token;
  constructor(platform, options) {
    const { token, tokenUrl: tokenUrl2, getToken } = options;
    if (getToken !== void 0) checkFunction("getToken", getToken);
    if (token !== void 0 && (typeof token !== "string" || !token)) {
      throw new TypeError("token must be a JWT, or left out.");
    }
    this.given = !!(token || tokenUrl2 || getToken);
    this.#attempt = new Attempt(platform);
    this.#token = token;
    this.#fetch = getToken ? async (signal) => getToken({ signal }) : tokenUrl2 ? (signal) => fetchToken(platform, tokenUrl2, signal) : void 0;
  }
  /** The token at hand, if there is one. */
  get current() {
    return this.#token;
  }
  /** Go on with a token that is in use, unless there is one of its own. */
  inherit(token) {
    this.#token ??= token;
  }
  /** Whether a new token can be had. */
  get renewable() {
    return !!this.#fetch;
  }
  /** Whether there is nothing to wait for: a token is at hand, or there is none to have. */
  get ready() {
    return !!this.#token || !this.#fetch;
  }
  /** Forget the token. One that was given and cannot be fetched stays: there is no other. */
  drop() {
    if (this.#fetch) this.#token = void 0;
  }
  /**
   * Make sure of a token.
   *
   * @returns the token, or undefined for a client that has no way to one: it is anonymous.
   * @throws MessageflowError with `temporary` false when asking again is of no use.
   */
  async get() {
    if (!this.#token && this.#fetch) this.#token = await this.#load(this.#fetch);
    return this.#token;
  }
  /** Get a new token in place of the present one. */
  renew() {
    this.drop();
    return this.get();
  }
  /** Abort a fetch under way: its outcome counts no more. */
  abandon() {
    this.#attempt.abandon();
  }
  async #load(fetch2) {
    try {
      const token = await this.#attempt.run(fetch2, FETCH_TIMEOUT_MS);
      if (!token) throw new MessageflowError(UNAUTHORIZED, "getToken gave no token: nobody is logged in.");
      return token;
    } catch (error) {
      throw asError(error, TOKEN_FAILED, "Could not get a token: ", true);
    }
  }
};
async function fetchToken(platform, url, signal) {
  const response = await platform.fetch(url, signal);
  if (response.status === 401 || response.status === 403) {
    throw new MessageflowError(UNAUTHORIZED, `${url} answered ${response.status}: nobody is logged in.`);
  }
  const { ok, redirected, status: status2 } = response;
  const text = ok ? await response.text() : "";
  const token = readToken(text);
  if (token) return token;
  let said = ok ? "something that holds no token" : `${status2}`;
  if (redirected || /^\s*</.test(text)) {
    said = `${ok ? "a page" : `a redirect that ended in ${status2}`}, not a token: is somebody logged in? If nobody is, answer 401`;
  }
  throw new Error(`${url} answered ${said}`);
}
function readToken(text) {
  let found = text.trim();
  try {
    const body = JSON.parse(text);
    found = typeof body === "object" ? body?.token ?? body?.data?.token : body;
  } catch {
  }
  return typeof found === "string" && JWT.test(found) ? found : void 0;
}

// src/wait.ts
function until(emitter, verdict, limit) {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = verdict();
      if (found === true) resolve();
      else if (found) reject(found);
      return !!found;
    };
    if (look()) return;
    const timer = limit && new Timer(limit.platform);
    const off = emitter.on(() => look() && end());
    const end = () => {
      off();
      timer?.clear();
    };
    timer?.set(() => {
      off();
      reject(limit?.late());
    }, limit?.ms ?? 0);
  });
}

// src/subscription.ts
var LEFT = { code: 0, reason: "unsubscribed by the page" };
var Subscription = class {
  channel;
  #host;
  #holder;
  #publication;
  #join;
  #leave;
  #state;
  #recovery;
  #error;
  #snapshot;
  /** What is held, or was held last. */
  #shared;
  #held = false;
  #leftAt;
  /** @internal */
  constructor(host, channel, options) {
    const { report } = host;
    this.channel = channel;
    this.#host = host;
    this.#publication = new Emitter(report);
    this.#join = new Emitter(report);
    this.#leave = new Emitter(report);
    this.#state = new Emitter(report);
    this.#recovery = new Emitter(report);
    this.#error = new Emitter(report);
    if (options.getState) this.#snapshot = this.#own(options.getState);
    this.#holder = this.#hold(new TokenSource(host.platform, options));
    this.#publication.on(options.onPublication);
    this.#join.on(options.onJoin);
    this.#leave.on(options.onLeave);
    this.#state.on(options.onState);
    this.#recovery.on(options.onRecovery);
    this.#error.on(options.onError);
    if (options.onCount) this.onCount(options.onCount);
  }
  get state() {
    return this.#held && this.#shared?.machine.state || "unsubscribed";
  }
  /** Why the state is what it is. */
  get detail() {
    return this.#held && this.#shared?.machine.detail || LEFT;
  }
  /** Subscribe again after `unsubscribe()`, or after the server ended the subscription. */
  subscribe() {
    if (this.#held) return this.#shared?.restart();
    const before = this.#shared;
    const shared = this.#shared = this.#host.hold(this.#holder, before);
    const position = shared.positionKey;
    this.#held = true;
    if (before && (position ? position !== this.#leftAt : shared.isHeld || shared !== before)) this.#recover(false);
    shared.hold(this.#holder);
  }
  /**
   * Let the channel go: no handler given here is called any more, and when nobody else in the page holds the channel, it
   * is left. Handlers stay with this subscription; `subscribe()` comes back, and resumes where it left if the channel can.
   */
  unsubscribe() {
    if (!this.#held) return;
    const was = this.state;
    this.#held = false;
    this.#leftAt = this.#shared?.positionKey;
    this.#shared?.release(this.#holder);
    if (was !== "unsubscribed") this.#state.emit("unsubscribed", LEFT);
  }
  onPublication(handler) {
    return this.#publication.on(handler);
  }
  onJoin(handler) {
    return this.#watch(this.#join.on(handler));
  }
  onLeave(handler) {
    return this.#watch(this.#leave.on(handler));
  }
  onState(handler) {
    return this.#state.on(handler);
  }
  onRecovery(handler) {
    return this.#recovery.on(handler);
  }
  onError(handler) {
    return this.#error.on(handler);
  }
  /** Tell the number of connections and of people here, now and whenever it changes. */
  onCount(handler) {
    return watchPresenceCount(this, this.#host.platform, this.#host.report, handler);
  }
  publish(data, options) {
    return this.#command((requests) => requests.publish(this.channel, data, options));
  }
  presence() {
    return this.#command((requests) => requests.presence(this.channel));
  }
  presenceStats() {
    return this.#command((requests) => requests.presenceStats(this.channel));
  }
  history(options) {
    return this.#command((requests) => requests.history(this.channel, options));
  }
  /** Wait until subscribed; rejects if that is refused or given up. */
  ready() {
    return this.#ready();
  }
  #ready(limit) {
    const verdict = () => {
      const { state, detail } = this;
      if (state !== "unsubscribed") return state === "subscribed";
      return new MessageflowError(detail.code || UNSUBSCRIBED, `Not subscribed to ${this.channel}: ${detail.reason}.`);
    };
    return until(this.#state, verdict, limit);
  }
  /** Commands about a channel wait for its subscription: often it is what gives the right to them. */
  async #command(issue) {
    const { platform, requests, commandTimeout: ms } = this.#host;
    if (this.#host.isOpen()) {
      const late = () => new MessageflowError(TIMEOUT, `Not subscribed to ${this.channel} within ${ms} ms.`, true);
      await this.#ready({ platform, ms, late });
    }
    return issue(requests);
  }
  #watch(off) {
    if (this.#held) this.#shared?.machine.watch();
    return off;
  }
  /** @returns whether what was missed comes all the same. */
  #recover(recovered) {
    const snapshot = this.#snapshot;
    if (recovered || !snapshot) this.#recovery.emit(recovered);
    else snapshot.renew(this.state);
    return !!snapshot;
  }
  /** Fetch the state of the channel whenever the stream goes on without it. */
  #own(getState) {
    const snapshot = new Snapshot(this.#host.platform, getState, {
      channel: this.channel,
      resume: () => this.#shared?.machine.resume() ?? {},
      deliver: (...args) => this.#held && this.#publication.emit(...args),
      onError: (error) => this.#holder.onError(error) || this.#host.report(error)
    });
    this.#state.on((state) => snapshot.attend(state));
    return snapshot;
  }
  /** What the channel's shared subscription sees of this one: only as long as it is held. */
  #hold(tokens) {
    const join = this.#join;
    const leave = this.#leave;
    const snapshot = this.#snapshot;
    const when = (emitter) => (...args) => {
      if (this.#held) emitter.emit(...args);
    };
    return {
      channel: this.channel,
      tokens,
      get watches() {
        return join.size + leave.size > 0;
      },
      onPublication: snapshot ? (...args) => snapshot.take(...args) : when(this.#publication),
      onJoin: when(join),
      onLeave: when(leave),
      onState: when(this.#state),
      onRecovery: (recovered) => !this.#held || this.#recover(recovered),
      onError: (error) => {
        when(this.#error)(error);
        return this.#held && this.#error.size > 0;
      }
    };
  }
};

// src/flow.ts
var PERSONAL = "#";
var Flow = class {
  #session;
  #requests;
  #actions;
  #channels;
  #clients = new ClientIds();
  #host;
  #states;
  #recoveries;
  #errors;
  #user;
  #authenticated = false;
  #detail = { code: 0, reason: "" };
  #said = "";
  /** @internal */
  constructor(options, platform, base2) {
    refuseUnread(options);
    const url = socketUrl(options.url ?? base2 ?? "", base2);
    this.#errors = new Emitter((error) => logError("onError failed:", error));
    this.#states = new Emitter(this.#report);
    this.#recoveries = new Emitter(this.#report);
    this.#actions = new Actions(this.#report);
    const { connectTimeout = 5e3, commandTimeout = 1e4 } = options;
    const tokens = new TokenSource(platform, options);
    this.#session = new Session(platform, { url, connectTimeout, commandTimeout }, tokens, {
      onAccepted: ({ client, subs }, withToken) => {
        this.#clients.note(client);
        const personal = Object.keys(subs ?? {}).find((channel) => channel.startsWith(PERSONAL));
        this.#user = personal?.slice(PERSONAL.length);
        this.#authenticated = withToken || !!personal;
        this.#said = "";
      },
      onState: (state, detail) => {
        this.#detail = detail;
        if (state === "disconnected" && detail.code && !this.#states.size) this.#tellOfEnd(detail, tokens.given || detail.code === FORCE_DISCONNECT);
        this.#states.emit(state, detail);
      },
      onLink: () => this.#channels.request(),
      onLost: () => this.#channels.lose(),
      onSubs: (subs) => this.#channels.begin(subs),
      onPush: (push) => push.message ? this.#actions.route(push.message.data, { channel: "", recovered: false }) : this.#channels.take(push),
      onInvalidate: () => this.#channels.invalidate(),
      onError: (error) => {
        if (this.#errors.size || this.#said !== error.message) this.#report(error);
        this.#said = error.message;
      },
      resume: () => ({ subs: this.#channels.positions(), former: this.#clients.former })
    });
    this.#requests = new Requests(this.#session.commands, () => platform.random());
    this.#channels = new Channels(platform, this.#session, options.since, {
      onPublication: (publication, context) => this.#actions.route(publication, context),
      onRecovery: (recovery) => this.#recoveries.emit(recovery),
      onError: this.#report
    });
    this.#host = {
      platform,
      requests: this.#requests,
      commandTimeout,
      isOpen: () => this.state !== "disconnected",
      report: this.#report,
      hold: (holder, last) => this.#channels.hold(holder, last, this.state === "connected")
    };
    this.#errors.on(options.onError);
    this.#states.on(options.onState);
    this.#recoveries.on(options.onRecovery);
    this.#actions.onMessage(options.onMessage);
    this.#actions.onUnknown(options.onUnknown);
    for (const [type, handler] of Object.entries(options.on ?? {})) {
      if (handler !== void 0) this.#actions.on(type, handler);
    }
    for (const [channel, given] of Object.entries(options.channels ?? {})) this.subscribe(channel, given);
    this.connect();
  }
  get state() {
    return this.#session.state;
  }
  /** Why the state is what it is. */
  get detail() {
    return this.#detail;
  }
  /** Whether the server has accepted who we are. */
  get authenticated() {
    return this.state === "connected" && this.#authenticated;
  }
  /** Who the server takes us for, when it gives us a personal channel. */
  get user() {
    return this.#user;
  }
  /** What the gateway calls this connection, or the last one, for the header `X-Messageflow-Client`; empty before the first. */
  get client() {
    return this.#clients.last;
  }
  on(type, handler) {
    return this.#actions.on(type, handler);
  }
  /** Handle every push to this user, or to all. */
  onMessage(handler) {
    return this.#actions.onMessage(handler);
  }
  /** Handle what has no handler of its own by `on()`. */
  onUnknown(handler) {
    return this.#actions.onUnknown(handler);
  }
  onState(handler) {
    return this.#states.on(handler);
  }
  /** Learn after an absence, channel by channel, whether it was made up for; if not, fetch the state anew. */
  onRecovery(handler) {
    return this.#recoveries.on(handler);
  }
  onError(handler) {
    return this.#errors.on(handler);
  }
  /**
   * Subscribe to a channel. Each call holds it with handlers of its own, which its `unsubscribe()` takes back; however many hold it, the
   * server sees one subscription, which ends with the last. The token in use is that of whoever came last with one.
   */
  subscribe(channel, given = {}) {
    if (checkChannel(channel).startsWith(PERSONAL) || channel === "*") {
      throw new TypeError(`What is pushed to "${channel}" comes by itself; handle it with flow.on(type, handler).`);
    }
    const options = typeof given === "function" ? { onPublication: given } : given;
    if (!options || typeof options !== "object") {
      throw new TypeError("subscribe(channel, …) takes a function, or an object such as {onPublication(data) {…}}.");
    }
    refuseUnread(options);
    const subscription = new Subscription(this.#host, channel, options);
    subscription.subscribe();
    return subscription;
  }
  /** Publish to a channel; repeated, if the link dies meanwhile, with one key, so that it is stored once. */
  publish(channel, data, options) {
    return this.#requests.publish(channel, data, options);
  }
  presence(channel) {
    return this.#requests.presence(channel);
  }
  presenceStats(channel) {
    return this.#requests.presenceStats(channel);
  }
  history(channel, options) {
    return this.#requests.history(channel, options);
  }
  /** Tell the application: resolves when its `@flow.on(name)` has handled it, once, however often the link dies meanwhile. */
  emit(name, ...[data, options]) {
    return this.#requests.emit(name, data, options);
  }
  call(name, data, options) {
    return this.#requests.call(name, data, options);
  }
  /** `call` by its name in the protocol. */
  rpc(method, data) {
    return this.#requests.call(method, data);
  }
  /** Connect after `close()`, or after the server has ended the connection. */
  connect() {
    this.#session.connect();
  }
  /** Start over at once with a new token: after a login or a logout. */
  reconnect() {
    this.#session.reconnect();
  }
  close() {
    this.#session.close();
  }
  /** Wait until connected; rejects when there will be no connection without a call of `connect()`. */
  ready() {
    return until(this.#states, () => {
      const { code, reason } = this.#detail;
      if (this.state === "disconnected") return new MessageflowError(code || CLOSED, `Not connected: ${reason}.`);
      return this.state === "connected";
    });
  }
  /** The connection has ended for good, and nobody listens to states: tell those who listen to errors, or the console. */
  #tellOfEnd({ code, reason }, isKnown) {
    const hint = code < 100 ? "" : isKnown ? "; the log of the gateway says why" : "; give tokenUrl, getToken or token";
    const message = `not connected (${code}), and not trying again: ${reason}${hint}`;
    if (this.#errors.size) this.#errors.emit(new MessageflowError(code, message));
    else logError(message);
  }
  #report = (error) => {
    const failure = asError(error, HANDLER_FAILED, "A handler failed: ");
    if (this.#errors.size) this.#errors.emit(failure);
    else logError(failure);
  };
};

// src/platform.ts
function isBlob() {
  return globalThis.location?.protocol === "blob:";
}
function browserPlatform(WebSocketClass) {
  return {
    now: () => performance.now(),
    wall: () => Date.now(),
    random: () => Math.random(),
    setTimer: (action, ms) => setTimeout(action, ms),
    clearTimer: (timer) => clearTimeout(timer),
    openSocket: (url) => new (WebSocketClass ?? WebSocket)(url),
    fetch: (url, signal) => fetch(isBlob() ? new URL(url, location.origin) : url, { signal, credentials: "same-origin", cache: "no-store", headers: { Accept: "application/json" } }),
    canStream: typeof ReadableStream === "function" && typeof fetch === "function",
    // A text needs no leave of another origin first.
    post: (url, body, signal) => fetch(url, { method: "POST", body, signal, credentials: "same-origin", cache: "no-store" }),
    attend({ wake, depart }) {
      const page = globalThis.document;
      const shown = () => page?.visibilityState === "visible" && wake();
      const events = [
        [globalThis, "online", wake],
        [globalThis, "pageshow", wake],
        [globalThis, "pagehide", depart],
        [page, "visibilitychange", shown],
        [page, "resume", wake],
        [page, "freeze", depart]
      ];
      for (const [target, type, action] of events) target?.addEventListener?.(type, action);
      return () => {
        for (const [target, type, action] of events) target?.removeEventListener?.(type, action);
      };
    }
  };
}

// src/status-indicator.ts
var COLORS = { disconnected: "red", anonymous: "orange", authenticated: "green" };
var TITLES = {
  disconnected: "No connection: live updates are off",
  anonymous: "WebSocket is connected, but not authenticated",
  authenticated: "WebSocket is connected & authenticated"
};
function status(flow, { connected, authenticated, dot, colors }) {
  const show = () => {
    const online = flow.state === "connected";
    const state = !online ? "disconnected" : flow.authenticated ? "authenticated" : "anonymous";
    write(connected, online ? "Online" : "Offline");
    write(authenticated, flow.authenticated ? "Yes" : "No");
    const element = find(dot);
    if (!element) return;
    const title = online || !flow.detail.code ? `${TITLES[state]}.` : `${TITLES[state]} (${flow.detail.reason}).`;
    element.setAttribute("data-state", state);
    element.setAttribute("role", "status");
    element.setAttribute("title", title);
    element.style.backgroundColor = { ...COLORS, ...colors }[state];
  };
  show.quiet = true;
  show();
  return flow.onState(show);
}
function find(element) {
  return typeof element === "string" ? globalThis.document?.querySelector(element) : element;
}
function write(target, text) {
  const element = find(target);
  if (element) element.textContent = text;
}

// src/connect.ts
var base;
function setBase(url) {
  base = url?.match(/https?:[^?#]*\//)?.[0];
}
var tokenUrl;
var since;
function setDefaults(said) {
  tokenUrl = said.tokenUrl;
  try {
    since = said.since ? JSON.parse(said.since) : void 0;
  } catch {
    throw new TypeError("data-since of the script tag is no JSON: write what flow.position(user) gave.");
  }
}
function fillIn(options) {
  const filled = { tokenUrl: options.token ?? options.getToken ? void 0 : tokenUrl, since, ...options };
  since = void 0;
  return filled;
}
function connect(options = {}) {
  if (!options || typeof options !== "object") {
    throw new TypeError('connect() takes an object, such as {tokenUrl: "/token", onMessage(action) {…}}.');
  }
  const page = globalThis.location?.href.replace(/^blob:/, "");
  const url = options.url ?? base ?? (page && new URL(page).origin);
  if (!url) throw new TypeError("There is no page to connect back to; give url.");
  return new Flow({ ...fillIn(options), url }, browserPlatform(options.WebSocket), page);
}
function createSocket(url, messageHandler, options = {}) {
  checkFunction("createSocket(url, messageHandler): messageHandler", messageHandler);
  const anyToken = options.token ?? options.getToken;
  const from = options.tokenUrl ?? (anyToken ? void 0 : tokenUrl ?? "/socket_auth_token");
  const flow = connect({ ...options, tokenUrl: from, url });
  flow.onMessage((action, context) => {
    const { type, payload } = action;
    return messageHandler({ ...action, payload, id: type, data: payload, action: type, actionType: type }, context);
  });
  status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  return flow;
}
