import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import { answering, connected, JWT, settle, start, TestPlatform } from "./platform.js";

const OTHER = "aaa.bbb.ccc";

function tokenOf(command: Record<string, unknown> | undefined, method = "connect"): unknown {
  return (command?.[method] as { token?: unknown } | undefined)?.token;
}

describe("getting a token", () => {
  test("from a URL, before the socket is opened", async () => {
    const { platform } = start({ tokenUrl: "/token" }, answering([200, `{"token":"${JWT}"}`]));
    assert.equal(platform.peers.length, 0);
    await settle();
    assert.deepEqual(platform.fetched, ["/token"]);
    const [connect] = await platform.peer.open();
    assert.equal(tokenOf(connect), JWT);
    assert.doesNotMatch(platform.peer.url, /eyJ/);
  });

  test("from a function", async () => {
    const { platform } = start({ getToken: async () => JWT });
    await settle();
    const [connect] = await platform.peer.open();
    assert.equal(tokenOf(connect), JWT);
  });

  test("without one the connection is anonymous", async () => {
    const { flow, platform } = start();
    await settle();
    const [connect] = await platform.peer.accept();
    assert.equal(tokenOf(connect), undefined);
    assert.equal(flow.state, "connected");
    assert.equal(flow.authenticated, false);
  });

  for (const status of [401, 403]) {
    test(`an answer of ${status} ends it: nobody is logged in`, async () => {
      const { flow, platform } = start({ tokenUrl: "/token" }, answering([status, ""]));
      await settle();
      assert.equal(flow.state, "disconnected");
      assert.deepEqual(flow.detail, { code: 5, reason: `/token answered ${status}: nobody is logged in.` });
      await platform.pass(120_000);
      assert.equal(platform.fetched.length, 1);
      assert.equal(platform.timers, 0);
    });
  }

  test("a function that gives null ends it too", async () => {
    const { flow } = start({ getToken: () => null });
    await settle();
    assert.deepEqual([flow.state, flow.detail.code], ["disconnected", 5]);
  });

  test("failures are reported and tried again with backoff", async () => {
    const errors: MessageflowError[] = [];
    const answers = answering([500, ""], [200, "<html>login</html>"], [200, JWT]);
    const { flow, platform } = start({ tokenUrl: "/token", onError: (error) => errors.push(error) }, answers);
    await settle();
    assert.equal(flow.detail.retryIn, 250);
    await platform.pass(250);
    assert.equal(flow.detail.retryIn, 500);
    await platform.pass(500);
    await platform.peer.accept();
    assert.equal(flow.state, "connected");
    assert.deepEqual(
      errors.map(({ code, temporary, message }) => [code, temporary, message]),
      [
        [6, true, "Could not get a token: Error: /token answered 500"],
        [6, true, "Could not get a token: Error: /token answered a page, not a token: is somebody logged in? If nobody is, answer 401"],
      ],
    );
  });

  test("an answer to another address than was asked for is a page, JSON that holds none is not", async () => {
    for (const [redirected, said] of [[true, /answered a page, not a token/], [false, /answered something that holds no token/]] as const) {
      const platform = new TestPlatform();
      platform.fetch = async () => ({ ok: true, status: 200, redirected, text: async () => "{}" });
      const errors: string[] = [];
      const { flow } = start({ tokenUrl: "/token", onError: ({ message }) => errors.push(message) }, platform);
      await settle();
      assert.match(String(errors), said);
      flow.close();
    }
  });

  test("a redirect to a login page that is not there is told as one", async () => {
    const platform = new TestPlatform();
    platform.fetch = async () => ({ ok: false, status: 404, redirected: true, text: async () => "<h1>Not Found</h1>" });
    const errors: string[] = [];
    start({ tokenUrl: "/token", onError: ({ message }) => errors.push(message) }, platform);
    await settle();
    assert.match(String(errors), /answered a redirect that ended in 404, not a token: is somebody logged in\?/);
  });

  test("a token is taken from wherever a redirect led", async () => {
    const platform = new TestPlatform();
    platform.fetch = async () => ({ ok: true, status: 200, redirected: true, text: async () => JWT });
    const { flow } = start({ tokenUrl: "/token" }, platform);
    await settle();
    await platform.peer.accept();
    assert.equal(flow.authenticated, true);
  });

  test("an endpoint that hangs is given up", async () => {
    const { flow, platform } = start({ getToken: () => new Promise<string>(() => {}), onError() {} });
    await settle();
    await platform.pass(10_000);
    assert.match(flow.detail.reason, /no answer within 10000 ms/);
    assert.equal(flow.detail.retryIn, 250);
  });

  test("a request whose answer is not waited for any more is aborted", async () => {
    const signals: AbortSignal[] = [];
    const getToken = (request: { signal: AbortSignal }): Promise<string> => (signals.push(request.signal), new Promise(() => {}));
    const aborted = (): boolean[] => signals.map((signal) => signal.aborted);
    const { flow, platform } = start({ getToken, onError() {} });
    await settle();
    assert.deepEqual(aborted(), [false]);
    await platform.pass(10_000); // given up
    assert.deepEqual(aborted(), [true]);
    await platform.pass(250);
    flow.reconnect(); // overtaken
    await settle();
    assert.deepEqual(aborted(), [true, true, false]);
    flow.close();
    assert.deepEqual(aborted(), [true, true, true]);
    await settle();
    assert.equal(platform.timers, 0);
  });

  test("a page that takes onabort of the signal for itself takes nothing from the client", async () => {
    const aborted: string[] = [];
    const getToken = ({ signal }: { signal: AbortSignal }): Promise<string> => {
      signal.onabort = () => aborted.push("told");
      return new Promise(() => {});
    };
    const { flow, platform } = start({ getToken, onError() {} });
    await settle();
    await platform.pass(10_000);
    assert.match(flow.detail.reason, /no answer within 10000 ms/);
    assert.deepEqual(aborted, ["told"]);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("a token in an answer that is no success is none", async () => {
    const { flow } = start({ tokenUrl: "/token", onError() {} }, answering([404, JWT]));
    await settle();
    assert.deepEqual([flow.state, flow.detail.retryIn], ["connecting", 250]);
    flow.close();
  });

  test("an answer that is not read to its end is aborted", async () => {
    const { platform } = start({ tokenUrl: "/token", onError() {} }, answering([503, "an endless page"]));
    await settle();
    assert.equal(platform.signals[0]?.aborted, true);
  });

  test("a refresh under way is aborted with its connection, and a subscription's token with its subscription", async () => {
    const signals: AbortSignal[] = [];
    const hang = (request: { signal: AbortSignal }): Promise<string> => (signals.push(request.signal), new Promise(() => {}));
    let asked = 0;
    const { flow, platform, peer } = await connected(
      { getToken: (request) => (asked++ ? hang(request) : JWT) },
      { expires: true, ttl: 1 },
    );
    const news = flow.subscribe("news", { getToken: hang });
    await settle();
    assert.equal(signals.length, 1);
    news.unsubscribe();
    await platform.pass(1000);
    assert.deepEqual(signals.map(({ aborted }) => aborted), [true, false]);
    await peer.drop();
    assert.equal(signals[1]?.aborted, true);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("no error and no reason contains the token", async () => {
    const { flow, platform } = start({ token: JWT });
    await settle();
    const [connect] = await platform.peer.open();
    await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
    assert.equal(flow.detail.reason, "token expired; give tokenUrl or getToken to have it renewed");
    assert.equal(flow.state, "disconnected");
  });
});

describe("renewing a token", () => {
  test("an expired one is fetched anew and tried again", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, JWT], [200, OTHER]));
    await settle();
    const [connect] = await platform.peer.open();
    await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
    await platform.pass(250);
    const [again] = await platform.peer.accept();
    assert.equal(tokenOf(again), OTHER);
    assert.equal(flow.authenticated, true);
  });

  test("one that expired during an absence adds no wait to it", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, JWT], [200, OTHER]));
    await settle();
    await platform.peer.accept();
    for (let attempt = 0; attempt < 7; attempt++) {
      await platform.peer.drop();
      await platform.pass(flow.detail.retryIn ?? 0);
    }
    const [connect] = await platform.peer.open(); // the network is back
    await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
    await platform.pass(0);
    assert.equal(tokenOf((await platform.peer.accept())[0]), OTHER);
  });

  test("but an endpoint that gives expired ones is asked ever more slowly", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, JWT]));
    const waits: (number | undefined)[] = [];
    await settle();
    for (let attempt = 0; attempt < 4; attempt++) {
      const [connect] = await platform.peer.open();
      await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
      waits.push(flow.detail.retryIn);
      await platform.pass(flow.detail.retryIn ?? 0);
    }
    assert.deepEqual(waits, [250, 500, 1000, 2000]);
  });

  test("a subscription's adds none either, and a subscription's endpoint is asked ever more slowly too", async () => {
    let made = 0;
    const { flow, platform } = await connected({ channels: { news: { getToken: () => `h.${++made}.s` } }, onError() {} });
    const asked = (): string[] =>
      platform.peer.frames
        .flatMap((frame) => frame.split("\n"))
        .flatMap((line) => (JSON.parse(line) as { subscribe?: { token: string } }).subscribe?.token ?? []);
    const refuse = (): Promise<void> => {
      const line = platform.peer.frames.at(-1)?.split("\n").at(-1) ?? "{}";
      const { id } = JSON.parse(line) as { id?: number };
      return platform.peer.say({ id, error: { code: 109, message: "token expired" } });
    };
    await settle();
    await platform.peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    assert.deepEqual(asked(), ["h.1.s"]);
    await refuse();
    assert.deepEqual(asked(), ["h.1.s", "h.2.s"]); // at once
    await refuse();
    assert.deepEqual(asked(), ["h.1.s", "h.2.s"]);
    await platform.pass(250);
    assert.deepEqual(asked(), ["h.1.s", "h.2.s", "h.3.s"]);
    flow.close();
  });

  test("its end is told by the server, whatever the page's clock says", async () => {
    const past = `${btoa('{"alg":"HS256"}')}.${btoa('{"sub":"alice","exp":1000}')}.c2ln`.replaceAll("=", "");
    const { platform } = start({ getToken: () => past });
    await settle();
    await platform.peer.accept({ expires: true, ttl: 100, ping: 0 });
    await platform.pass(79_000);
    assert.deepEqual(platform.peer.commands(), []);
    await platform.pass(1000);
    assert.equal(tokenOf(platform.peer.commands()[0], "refresh"), past);
  });

  test("a token is not kept over 3014: the server says that it is void", async () => {
    const { platform } = start({ tokenUrl: "/token" }, answering([200, JWT], [200, OTHER]));
    await settle();
    await platform.peer.accept();
    await platform.peer.drop(3014, "state invalidated");
    await platform.pass(250);
    assert.equal(tokenOf((await platform.peer.accept())[0]), OTHER);
  });

  test("a token that is given stays over reconnect(): there is no other", async () => {
    const { flow, platform } = start({ token: JWT });
    await settle();
    await platform.peer.accept();
    flow.reconnect();
    await settle();
    assert.equal(tokenOf((await platform.peer.accept())[0]), JWT);
    await platform.peer.drop(3005, "connection expired");
    await platform.pass(250);
    assert.equal(tokenOf((await platform.peer.accept())[0]), JWT);
  });

  test("a token that comes in the tick of close() opens nothing", async () => {
    for (let half = 0; half < 40; half++) { // from the answer to the socket there are fewer than 20 steps
      const steps = Math.floor(half / 2);
      let answer: (token: string) => void = () => {};
      const { flow, platform } = start({ getToken: () => new Promise<string>((resolve) => (answer = resolve)) });
      await settle();
      answer(JWT);
      for (let step = 0; step < steps && !platform.peers.length; step++) await Promise.resolve();
      if (platform.peers.length) return flow.close();
      if (half % 2) flow.close();
      else void platform.depart();
      await settle();
      assert.equal(platform.peers.length, 0);
      assert.equal(platform.timers, 0);
    }
  });

  test("a token is kept over a reconnect, but not over 3005", async () => {
    const { platform } = start({ tokenUrl: "/token" }, answering([200, JWT], [200, OTHER]));
    await settle();
    await platform.peer.accept();
    await platform.peer.drop();
    await platform.pass(250);
    assert.equal(tokenOf((await platform.peer.accept())[0]), JWT);
    await platform.peer.drop(3005, "connection expired");
    await platform.pass(250);
    assert.equal(tokenOf((await platform.peer.accept())[0]), OTHER);
  });

  test("before the connection expires a new one is handed over, again and again", async () => {
    const { platform, flow } = start({ tokenUrl: "/token" }, answering([200, JWT], [200, OTHER]));
    await settle();
    await platform.peer.accept({ expires: true, ttl: 20 });
    for (let round = 0; round < 3; round++) {
      await platform.pass(16_000);
      const [refresh] = platform.peer.commands();
      assert.equal(tokenOf(refresh, "refresh"), OTHER);
      await platform.peer.say({ id: refresh?.id, refresh: { client: "c1", expires: true, ttl: 20 } });
    }
    assert.equal(flow.state, "connected");
    assert.equal(platform.peers.length, 1);
  });

  test("a refresh push sets another time", async () => {
    const { platform } = start({ getToken: () => JWT });
    await settle();
    await platform.peer.accept();
    await platform.peer.say({ push: { refresh: { expires: true, ttl: 10 } } });
    await platform.pass(8000);
    assert.equal(tokenOf(platform.peer.commands()[0], "refresh"), JWT);
  });

  test("a given token that cannot be renewed is not refreshed", async () => {
    const { platform, flow } = start({ token: JWT });
    await settle();
    await platform.peer.accept({ expires: true, ttl: 10, ping: 0 });
    assert.equal(platform.timers, 0);
    assert.equal(flow.state, "connected");
  });

  test("a failed refresh is reported and tried again", async () => {
    const errors: MessageflowError[] = [];
    const answers = answering([200, JWT], [502, ""], [200, OTHER]);
    const { platform } = start({ tokenUrl: "/token", onError: (error) => errors.push(error) }, answers);
    await settle();
    await platform.peer.accept({ expires: true, ttl: 10 });
    await platform.pass(8000);
    assert.equal(errors.length, 1);
    assert.deepEqual(platform.peer.commands(), []);
    await platform.pass(2000);
    assert.equal(tokenOf(platform.peer.commands()[0], "refresh"), OTHER);
  });

  test("logged out meanwhile: the refresh ends the connection", async () => {
    const { platform, flow } = start({ tokenUrl: "/token" }, answering([200, JWT], [401, ""]));
    await settle();
    await platform.peer.accept({ expires: true, ttl: 10 });
    await platform.pass(8000);
    assert.deepEqual([flow.state, flow.detail.code], ["disconnected", 5]);
    assert.equal(platform.timers, 0);
  });

  test("reconnect() connects with a new token at once, also after the end", async () => {
    const { platform, flow } = start({ tokenUrl: "/token" }, answering([401, ""], [200, JWT], [200, OTHER]));
    await settle();
    assert.equal(flow.state, "disconnected");
    flow.reconnect();
    await settle();
    assert.equal(tokenOf((await platform.peer.accept())[0]), JWT);
    flow.reconnect();
    assert.equal(flow.state, "connecting");
    assert.equal(platform.peers[0]?.closed, true);
    await settle();
    assert.equal(tokenOf((await platform.peer.accept())[0]), OTHER);
  });

  test("a fetch overtaken by reconnect() does not count", async () => {
    const answers: ((token: string) => void)[] = [];
    const { platform, flow } = start({ getToken: () => new Promise<string>((resolve) => answers.push(resolve)) });
    await settle();
    flow.reconnect();
    await settle();
    answers[0]?.(JWT);
    await settle();
    assert.equal(platform.peers.length, 0);
    answers[1]?.(OTHER);
    await settle();
    assert.equal(tokenOf((await platform.peer.open())[0]), OTHER);
    assert.equal(platform.peers.length, 1);
  });
});

describe("misuse", () => {
  test("is told in a sentence", () => {
    assert.throws(() => start({ token: "" }), /token must be a JWT/);
    assert.throws(() => start({ getToken: JWT as never }), /getToken must be a function/);
  });
});
