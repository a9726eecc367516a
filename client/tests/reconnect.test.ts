import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import type { State, StateDetail } from "../src/state.js";
import { connected, JWT, settle, start } from "./platform.js";

describe("reconnects", () => {
  test("delays double with full jitter and begin anew only after the connect reply", async () => {
    const { flow, platform } = start();
    await settle();
    const delays: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      await platform.peer.open(); // an open socket alone proves nothing
      await platform.peer.drop();
      delays.push(flow.detail.retryIn);
      await platform.pass(flow.detail.retryIn ?? 0);
    }
    assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    await platform.peer.accept();
    await platform.peer.drop();
    assert.equal(flow.detail.retryIn, 250);
  });

  test("a reconnecting close code is followed by another attempt", async () => {
    const states: [State, StateDetail][] = [];
    const { flow, platform, peer } = await connected({ onState: (state, detail) => states.push([state, detail]) });
    await peer.drop(3001, "shutdown");
    await platform.pass(250);
    await platform.peer.accept();
    assert.equal(flow.state, "connected");
    assert.deepEqual(states, [
      ["connecting", { code: 0, reason: "connect" }],
      ["connected", { code: 0, reason: "connected" }],
      ["connecting", { code: 3001, reason: "shutdown", retryIn: 250 }],
      ["connected", { code: 0, reason: "connected" }],
    ]);
  });

  test("a server that says it starts again is looked for at once, and then every second at most", async () => {
    const { flow, platform } = await connected();
    await platform.peer.drop(3401, "restart");
    const delays: (number | undefined)[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      delays.push(flow.detail.retryIn);
      await platform.pass(flow.detail.retryIn ?? 0);
      await platform.peer.drop();
    }
    assert.deepEqual(delays, [50, 100, 200, 400, 500, 500]);
    await platform.pass(500);
    await platform.peer.accept();
    await platform.peer.drop();
    assert.equal(flow.detail.retryIn, 250, "once it is back, a loss is one like any other");
    flow.close();
  });

  test("a server that says so and does not come back is looked for as any other in the end", async () => {
    const { flow, platform } = await connected();
    await platform.peer.drop(3401, "restart");
    for (let attempt = 0; attempt < 60; attempt++) {
      await platform.pass(flow.detail.retryIn ?? 0);
      await platform.peer.drop();
    }
    assert.equal(flow.detail.retryIn, 10_000);
    flow.close();
  });

  test("a terminal close code ends it, with nothing left running", async () => {
    const { flow, platform, peer } = await connected({ token: JWT });
    await peer.drop(3500, "invalid token");
    assert.equal(flow.state, "disconnected");
    assert.deepEqual(flow.detail, { code: 3500, reason: "invalid token" });
    assert.equal(flow.authenticated, false);
    assert.equal(platform.timers, 0);
    assert.equal(platform.lives.size, 0);
    await platform.pass(60_000);
    assert.equal(platform.peers.length, 1);
  });

  for (const code of [3404, 3504]) {
    test(`${code}, too many connections, is said once, and tried again slowly until there is room`, async () => {
      const errors: MessageflowError[] = [];
      const { flow, platform, peer } = await connected({ onError: (error) => errors.push(error) });
      await peer.drop(code, "connection limit");
      const waits = [flow.detail.retryIn];
      for (let attempt = 0; attempt < 4; attempt++) {
        await platform.pass(flow.detail.retryIn ?? 0);
        await platform.peer.open();
        await platform.peer.drop(code, "connection limit");
        waits.push(flow.detail.retryIn);
      }
      assert.equal(flow.state, "connecting");
      assert.deepEqual(waits, [15_000, 20_000, 30_000, 35_000, 35_000]);
      assert.deepEqual(errors.map(({ code, temporary }) => [code, temporary]), [[code, true]]);
      assert.match(errors[0]?.message ?? "", /Too many connections of this user \(connection limit\): tried again, slowly/);
      await platform.pass(35_000);
      await platform.peer.accept();
      assert.equal(flow.state, "connected");
      await platform.peer.drop();
      assert.equal(flow.detail.retryIn, 250);
      await platform.pass(250);
      await platform.peer.open();
      await platform.peer.drop(code, "connection limit");
      assert.equal(errors.length, 2, "a new time is said anew");
      flow.close();
      assert.equal(platform.timers, 0);
    });
  }

  test("3502, a connect that did not arrive in time, is the network's fault and tried again", async () => {
    const { flow, peer } = await connected();
    await peer.drop(3502, "stale");
    assert.deepEqual(flow.detail, { code: 3502, reason: "stale", retryIn: 250 });
  });

  test("what is subscribed to while away is asked for by the next link", async () => {
    const { flow, platform, peer } = await connected();
    await peer.drop();
    flow.subscribe("late");
    await settle();
    await platform.pass(250);
    const commands = await platform.peer.accept();
    assert.deepEqual(commands.map(({ id, connect, ...rest }) => rest), [{}, { subscribe: { channel: "late", recoverable: true } }]);
  });

  test("a disconnect push is obeyed like a close", async () => {
    const { flow, peer } = await connected();
    await peer.say({ push: { disconnect: { code: 3503, reason: "force disconnect" } } });
    assert.equal(flow.state, "disconnected");
    assert.equal(peer.closed, true);
  });

  test("a temporary error on connect is retried, a final one is not", async () => {
    const { flow, platform } = start();
    await settle();
    let [connect] = await platform.peer.open();
    await platform.peer.say({ id: connect?.id, error: { code: 100, message: "internal", temporary: true } });
    assert.equal(flow.state, "connecting");
    await platform.pass(250);
    [connect] = await platform.peer.open();
    await platform.peer.say({ id: connect?.id, error: { code: 103, message: "permission denied" } });
    assert.deepEqual([flow.state, flow.detail], ["disconnected", { code: 103, reason: "permission denied" }]);
    assert.equal(platform.peer.closed, true);
  });

  test("state invalidated: positions go, and the handlers are told", async () => {
    const told: unknown[] = [];
    const { platform, peer } = await connected(
      { onRecovery: (recovery) => told.push(recovery) },
      { subs: { "#alice": { epoch: "e", offset: 4 } } },
    );
    await peer.drop(3014, "state invalidated");
    await platform.pass(250);
    const [connect] = await platform.peer.accept({ subs: { "#alice": { epoch: "e", offset: 9 } } });
    assert.deepEqual((connect?.["connect"] as { subs?: unknown }).subs, { "#alice": {} });
    assert.deepEqual(told, [{ channel: "#alice", recovered: false }]);
  });

  test("a frame that is no JSON is reported, and the link replaced", async () => {
    const errors: MessageflowError[] = [];
    const { flow, platform, peer } = await connected({ onError: (error) => errors.push(error) });
    await peer.raw("<html>");
    assert.match(errors[0]?.message ?? "", /bad frame/);
    assert.equal(peer.closed, true);
    await platform.pass(250);
    await platform.peer.accept();
    assert.equal(flow.state, "connected");
  });

  test("an address the browser refuses ends it with its reason", async () => {
    const { platform } = start();
    await settle();
    platform.openSocket = () => {
      throw new Error("insecure WebSocket in a secure page");
    };
    const { flow } = start({}, platform);
    await settle();
    assert.equal(flow.state, "disconnected");
    assert.match(flow.detail.reason, /insecure WebSocket/);
  });
});

describe("half-open links", () => {
  test("an attempt that stays silent is given up after the connect timeout", async () => {
    const { flow, platform } = start({ connectTimeout: 3000 });
    await settle();
    await platform.pass(2999);
    assert.equal(platform.peer.closed, false);
    await platform.pass(1);
    assert.equal(platform.peer.closed, true);
    assert.equal(flow.detail.reason, "no data from the server");
  });

  test("an open socket is a sign of life: its reply has the whole time anew", async () => {
    const { platform } = start();
    await settle();
    const { peer } = platform;
    await platform.pass(4000);
    await peer.open();
    await platform.pass(4999);
    assert.equal(peer.closed, false);
  });

  test("a socket that opens but never answers connect is given up too", async () => {
    const { platform } = start();
    await settle();
    await platform.peer.open();
    await platform.pass(5000);
    assert.equal(platform.peer.closed, true);
  });

  test("silence of ping + 10 s ends the link; any byte counts as life", async () => {
    const { flow, platform, peer } = await connected();
    await platform.pass(24_000);
    await peer.say({ push: { channel: "x", join: { info: { user: "u", client: "c" } } } });
    await platform.pass(24_000);
    await peer.raw(new ArrayBuffer(3));
    await platform.pass(24_999);
    assert.equal(peer.closed, false);
    await platform.pass(1);
    assert.equal(peer.closed, true);
    assert.equal(flow.detail.code, 1006);
  });

  test("a server that does not ping is never thought dead", async () => {
    const { flow, platform, peer } = await connected({}, { ping: 0, pong: false });
    await platform.pass(3_600_000);
    assert.equal(peer.closed, false);
    assert.equal(flow.state, "connected");
    assert.equal(platform.timers, 0);
  });

  test("pings are answered if the server wants that", async () => {
    const { peer } = await connected();
    await peer.say({});
    assert.equal(peer.frames.at(-1), "{}");
  });

  test("pings are not answered if it does not", async () => {
    const { peer } = await connected({}, { pong: false });
    const before = peer.frames.length;
    await peer.say({});
    assert.equal(peer.frames.length, before);
  });
});

describe("waking", () => {
  test("ends a wait at once", async () => {
    const { platform, peer } = await connected();
    await peer.drop();
    await platform.wake();
    assert.equal(platform.peers.length, 2);
    await platform.peer.accept();
    await platform.pass(1000);
    assert.equal(platform.peers.length, 2, "the timer of the wait is gone");
  });

  test("a link that was silent while the page slept is replaced", async () => {
    const { platform, peer } = await connected();
    platform.sleep(25_000);
    await platform.wake();
    assert.equal(peer.closed, true);
  });

  test("a link is asked for a sign of life, since clocks may sleep with the machine", async () => {
    const { flow, platform, peer } = await connected();
    peer.commands();
    await platform.wake();
    await platform.wake();
    const asked = peer.commands();
    assert.deepEqual(asked.map(({ id, ...rest }) => rest), [{ ping: {} }]);
    await platform.pass(4999);
    assert.equal(peer.closed, false);
    await platform.pass(1);
    assert.equal(peer.closed, true);
    assert.equal(flow.detail.reason, "no answer from the server");
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("a link that gives one is kept, be it a refusal", async () => {
    const { flow, platform, peer } = await connected({ onError: (error) => assert.fail(error) });
    peer.commands();
    await platform.wake();
    const [ping] = peer.commands();
    await peer.say({ id: ping?.id, error: { code: 108, message: "not available" } });
    await platform.pass(10_000);
    assert.equal(peer.closed, false);
    await platform.wake();
    assert.equal(peer.commands().length, 1, "the next time it is asked again");
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("an attempt under way is not asked", async () => {
    const { platform } = start();
    await settle();
    await platform.peer.open();
    await platform.wake();
    assert.equal(platform.peer.frames.length, 1);
  });

  test("a link that has lately spoken is kept, and a late timer does not kill it", async () => {
    const { platform, peer } = await connected();
    platform.sleep(60_000); // timers of hidden pages run late
    await peer.say({}); // but messages arrive
    await platform.pass(0);
    await platform.wake();
    assert.equal(peer.closed, false);
  });

  test("does not disturb a flow that is closed", async () => {
    const { flow, platform } = await connected();
    flow.close();
    assert.equal(platform.lives.size, 0);
  });
});

describe("closing", () => {
  test("leaves no timer, from any state", async () => {
    const first = start({ getToken: () => new Promise<string>(() => {}) });
    await settle();
    assert.equal(first.platform.timers, 1, "the fetch of a token is bounded in time");
    first.flow.close();
    await settle();
    assert.equal(first.platform.timers, 0);

    const opening = start();
    await settle();
    opening.flow.close();
    assert.equal(opening.platform.timers, 0);
    assert.equal(opening.platform.peer.closed, true);

    const live = await connected({ getToken: () => JWT, channels: { news() {} } }, { expires: true, ttl: 60 });
    const pending = live.flow.rpc("never");
    live.flow.close();
    await assert.rejects(pending, /connection was lost/);
    assert.equal(live.platform.timers, 0);

    const waiting = await connected();
    await waiting.peer.drop();
    waiting.flow.close();
    assert.equal(waiting.platform.timers, 0);
    await waiting.platform.wake();
    assert.equal(waiting.platform.peers.length, 1);
  });

  test("connect after close resumes where it was", async () => {
    const { flow, platform } = await connected({}, { subs: { "#alice": { epoch: "e", offset: 4 } } });
    flow.close();
    assert.deepEqual(flow.detail, { code: 0, reason: "closed by the page" });
    flow.close();
    flow.connect();
    flow.connect();
    await settle();
    assert.equal(platform.peers.length, 2);
    const [connect] = await platform.peer.accept();
    assert.deepEqual((connect?.["connect"] as { subs?: unknown }).subs, {
      "#alice": { recover: true, epoch: "e", offset: 4 },
    });
    assert.equal(flow.state, "connected");
  });

  test("closing in a handler stops what is left of the frame", async () => {
    const seen: string[] = [];
    const { flow, peer } = await connected(
      {
        onMessage: ({ type }) => {
          seen.push(type);
          flow.close();
        },
      },
      { subs: { "*": {} } },
    );
    await peer.say(
      { push: { channel: "*", pub: { data: { type: "one" } } } },
      { push: { channel: "*", pub: { data: { type: "two" } } } },
    );
    assert.deepEqual(seen, ["one"]);
  });

  test("closing when told of the connection is safe", async () => {
    const { flow, platform } = start({ onState: (state) => void (state === "connected" && flow.close()) });
    await settle();
    await platform.peer.accept({ subs: { "#alice": {} } });
    assert.equal(flow.state, "disconnected");
    assert.equal(platform.timers, 0);
  });

  test("nor is anything subscribed or sent when a handler has closed it meanwhile", async () => {
    const { flow, platform } = start({ channels: { news() {} }, onState: (state) => void (state === "connected" && flow.close()) });
    await settle();
    await platform.peer.accept({ subs: { news: {} } });
    assert.notEqual(flow.subscribe("news").state, "subscribed");
    await assert.rejects(flow.rpc("x"), { code: 4, message: /Call connect\(\) first/ });
    assert.equal(platform.timers, 0);
  });

  test("ready resolves when connected and rejects when there is nothing to wait for", async () => {
    const { flow, platform } = start();
    const ready = flow.ready();
    await settle();
    await platform.peer.accept();
    await ready;
    await flow.ready();
    flow.close();
    await assert.rejects(flow.ready(), { name: "MessageflowError", code: 4, message: /closed by the page/ });
  });
});
