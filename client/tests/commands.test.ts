import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connected, settle, start } from "./platform.js";

describe("commands", () => {
  test("travel under their wire names and answer in the page's words", async () => {
    const { flow, peer } = await connected();
    const info = { user: "bob", client: "c2" };
    const answers = [
      flow.publish("news", { a: 1 }),
      flow.presence("news"),
      flow.presenceStats("news"),
      flow.history("news", { limit: 5, since: { epoch: "e", offset: 2 }, reverse: true }),
      flow.rpc("sum", [1, 2]),
    ];
    await settle();
    assert.equal(peer.frames.length, 2, "commands of one tick share a frame");
    const commands = peer.commands();
    assert.deepEqual(
      commands.map(({ id, ...method }) => method),
      [
        { publish: { channel: "news", data: { a: 1 }, idempotency_key: "ii-1" } },
        { presence: { channel: "news" } },
        { presence_stats: { channel: "news" } },
        { history: { channel: "news", limit: 5, since: { epoch: "e", offset: 2 }, reverse: true } },
        { rpc: { method: "sum", data: [1, 2] } },
      ],
    );
    const [publish, presence, stats, history, rpc] = commands.map(({ id }) => id);
    await peer.say(
      { id: rpc, rpc: { data: 3 } },
      { id: history, history: { publications: [{ data: 1, offset: 3 }], epoch: "e", offset: 3 } },
      { id: stats, presence_stats: { num_clients: 0, num_users: 0 } },
      { id: presence, presence: { presence: { c2: info } } },
      { id: publish, publish: {} },
    );
    assert.deepEqual(await Promise.all(answers), [
      undefined,
      [info],
      { clients: 0, users: 0 },
      { publications: [{ data: 1, offset: 3 }], epoch: "e", offset: 3 },
      3,
    ]);
  });

  test("an error reply rejects with code, message and whether it is temporary", async () => {
    const { flow, peer } = await connected();
    const refusal = { name: "MessageflowError", code: 103, message: "permission denied", temporary: false };
    const publish = assert.rejects(flow.publish("news", 1), refusal);
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: { code: 103, message: "permission denied" } });
    await publish;
  });

  test("those in flight reject when the link goes", async () => {
    const { flow, peer } = await connected();
    const call = flow.rpc("slow");
    const rejected = assert.rejects(call, { code: 2, temporary: false, unknown: true });
    await settle();
    await peer.drop();
    await rejected;
  });

  test("those issued while away wait, in their order", async () => {
    const { flow, platform, peer } = await connected();
    await peer.drop();
    const calls = [flow.rpc("one"), flow.rpc("two")];
    await platform.pass(250);
    await platform.peer.accept();
    const commands = platform.peer.commands();
    assert.deepEqual(commands.map(({ rpc }) => (rpc as { method: string }).method), ["one", "two"]);
    await platform.peer.say(...commands.map(({ id }) => ({ id, rpc: { data: id } })));
    assert.deepEqual(await Promise.all(calls), commands.map(({ id }) => id));
  });

  test("but not for ever", async () => {
    const { flow, platform } = start({ commandTimeout: 1000 });
    const call = assert.rejects(flow.rpc("one"), { code: 1, temporary: true, message: "No connection within 1000 ms." });
    await settle();
    await platform.pass(1000);
    await call;
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands(), [], "what was given up is not sent any more");
    const { flow: live, platform: there } = await connected({ commandTimeout: 1000 });
    const unanswered = assert.rejects(live.rpc("two"), { code: 1, message: /^No reply within 1000 ms\./ });
    await settle();
    await there.pass(1000);
    await unanswered;
  });

  test("and not without bound", async () => {
    const { flow } = start();
    const calls = Array.from({ length: 1001 }, (_, n) => flow.rpc(String(n)).catch((error: { code: number }) => error.code));
    flow.close();
    const codes = await Promise.all(calls);
    assert.equal(codes[1000], 3);
    assert.equal(codes[999], 4);
  });

  test("a closed flow refuses them with what to do", async () => {
    const { flow } = await connected();
    flow.close();
    await assert.rejects(flow.rpc("one"), { code: 4, message: "Not connected: closed by the page. Call connect() first." });
  });

  test("one that was closed and connects again lets them wait", async () => {
    const { flow, platform } = await connected();
    flow.close();
    flow.connect();
    const history = flow.history("news");
    await settle();
    await platform.peer.accept();
    const [sent] = platform.peer.commands();
    assert.deepEqual(sent?.["history"], { channel: "news", limit: 100 });
    await platform.peer.say({ id: sent?.id, history: { epoch: "e", offset: 7 } });
    assert.deepEqual(await history, { publications: [], epoch: "e", offset: 7 });
  });

  test("many at once are spread over frames the server takes", async () => {
    const { flow, peer } = await connected();
    const before = peer.frames.length;
    for (let n = 0; n < 10; n++) flow.publish("news", "x".repeat(10_000)).catch(() => {});
    await settle();
    const frames = peer.frames.slice(before);
    assert.equal(peer.commands().length, 10);
    for (const frame of frames) assert.ok(frame.length <= 32_768 + 1, String(frame.length));
    flow.close();
  });

  test("a subscription's commands wait for the subscription", async () => {
    const { flow, peer, commands } = await connected({ channels: { news() {} } });
    const publish = flow.subscribe("news").publish(1);
    await settle();
    assert.equal(peer.commands().length, 0);
    await peer.say({ id: commands[1]?.id, subscribe: {} });
    const [sent] = peer.commands();
    assert.deepEqual(sent?.["publish"], { channel: "news", data: 1, idempotency_key: "ii-1" });
    await peer.say({ id: sent?.id, publish: {} });
    await publish;
  });

  test("a subscription's commands reject when it is refused", async () => {
    const { flow, peer, commands } = await connected({ channels: { news: { onError() {} } } });
    const presence = assert.rejects(flow.subscribe("news").presence(), { code: 103, message: /Not subscribed to news/ });
    await peer.say({ id: commands[1]?.id, error: { code: 103, message: "permission denied" } });
    await presence;
  });

  test("there must be something to send", async () => {
    const { flow } = await connected();
    await assert.rejects(flow.publish("news", undefined), /No data to send: undefined/);
    await assert.rejects(flow.publish("news", () => 1), /No data to send: function/);
    await assert.rejects(flow.publish("news", Symbol("s")), /No data to send: symbol/);
    await assert.rejects(flow.publish("", 1), /non-empty string/);
    flow.close();
  });

  const circular: { self?: unknown } = {};
  circular.self = circular;
  const hostile = {
    toJSON(): never {
      throw Object.create(null);
    },
  };
  for (const [what, data] of [["a bigint", 10n], ["a circle", circular], ["what throws when it is encoded", hostile]] as const) {
    test(`${what} is refused alone and at once, connected or not`, async () => {
      const refusal = { name: "MessageflowError", code: 10, temporary: false, message: /^This cannot be sent as JSON: ./ };
      const { flow, platform } = start();
      await settle();
      const before = flow.publish("news", 1);
      await assert.rejects(flow.publish("news", data), refusal);
      const after = flow.publish("news", 2);
      await platform.peer.accept();
      const sent = platform.peer.commands();
      assert.deepEqual(sent.map(({ publish }) => (publish as { data: unknown }).data), [1, 2]);
      await platform.peer.say(...sent.map(({ id }) => ({ id, publish: {} })));
      await Promise.all([before, after]);
      await assert.rejects(flow.rpc("sum", data), refusal);
      assert.equal(flow.state, "connected");
      assert.equal(platform.peers.length, 1);
      flow.close();
      assert.equal(platform.timers, 0);
    });
  }

  test("data is taken as it is when it is given", async () => {
    const { flow, platform } = start();
    const data = { n: 1 };
    flow.publish("news", data).catch(() => {});
    data.n = 2;
    await settle();
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands()[0]?.["publish"], { channel: "news", data: { n: 1 }, idempotency_key: "ii-1" });
    flow.close();
  });

  test("a subscription's token that cannot be encoded ends that subscription alone", async () => {
    const errors: { code: number }[] = [];
    const { flow } = await connected({ onError: (error) => errors.push(error) });
    const subscription = flow.subscribe("news", { getToken: () => 10n as never });
    await settle();
    assert.deepEqual([subscription.state, subscription.detail.code, errors[0]?.code], ["unsubscribed", 10, 10]);
    assert.equal(flow.state, "connected");
  });
});
