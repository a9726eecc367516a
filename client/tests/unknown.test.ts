/** Commands whose reply got lost: repeated with one key, or said to be unknown; never said to have failed. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connected, type Sent, settle, start, TestPlatform } from "./platform.js";

function keys(commands: Sent[]): unknown[] {
  return commands.map((sent) => (sent["publish"] as { idempotency_key?: unknown } | undefined)?.idempotency_key);
}

/** An error that says that it is not known what became of it, and does not invite to try again. */
function unknown(code: number, method: string): object {
  return { name: "MessageflowError", code, temporary: false, unknown: true, message: new RegExp(`It is unknown whether this ${method} was`) };
}

describe("a command in flight when the link dies", () => {
  test("is repeated with its key if it is a publish, before what was issued meanwhile", async () => {
    const { flow, platform, peer } = await connected();
    const calls = [flow.publish("news", 1), flow.publish("news", 2)];
    await settle();
    const first = peer.commands();
    await peer.drop();
    calls.push(flow.publish("news", 3));
    await platform.pass(250);
    await platform.peer.accept();
    const again = platform.peer.commands();
    assert.deepEqual(again.slice(0, 2), first);
    assert.deepEqual(again.map(({ publish }) => (publish as { data: unknown }).data), [1, 2, 3]);
    assert.equal(new Set(keys(again)).size, 3, "each publication has a key of its own");
    await platform.peer.say(...again.map(({ id }) => ({ id, publish: {} })));
    await Promise.all(calls);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("is repeated as often as it takes", async () => {
    const { flow, platform } = await connected();
    const call = flow.publish("news", 1);
    await settle();
    for (let attempt = 0; attempt < 3; attempt++) {
      await platform.peer.drop();
      await platform.pass(500);
      await platform.peer.accept();
    }
    const [sent] = platform.peer.commands();
    await platform.peer.say({ id: sent?.id, publish: {} });
    await call;
  });

  test("was not in flight any more if it was answered", async () => {
    const { flow, platform, peer } = await connected();
    const call = flow.publish("news", 1);
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, publish: {} });
    await call;
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands(), []);
  });

  test("is repeated if it only reads", async () => {
    const { flow, platform, peer } = await connected();
    const calls = [flow.history("news"), flow.presence("news"), flow.presenceStats("news")];
    await settle();
    const first = peer.commands();
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    const again = platform.peer.commands();
    assert.deepEqual(again, first);
    await platform.peer.say(
      { id: again[0]?.id, history: { epoch: "e", offset: 1 } },
      { id: again[1]?.id, presence: {} },
      { id: again[2]?.id, presence_stats: { num_clients: 1, num_users: 1 } },
    );
    assert.deepEqual(await Promise.all(calls), [{ publications: [], epoch: "e", offset: 1 }, [], { clients: 1, users: 1 }]);
  });

  test("is repeated when a page that was put away comes back", async () => {
    const { flow, platform, peer } = await connected();
    const call = flow.publish("news", 1);
    await settle();
    const first = peer.commands();
    await platform.depart();
    await platform.wake();
    await platform.peer.accept();
    const again = platform.peer.commands();
    assert.deepEqual(again, first);
    await platform.peer.say({ id: again[0]?.id, publish: {} });
    await call;
  });

  test("is unknown if it can neither be repeated nor only reads", async () => {
    const { flow, peer } = await connected();
    const call = assert.rejects(flow.rpc("pay", 5), unknown(2, "rpc"));
    await settle();
    await peer.drop();
    await call;
  });

  test("is not repeated in the name of whoever comes next", async () => {
    const { flow, platform, peer } = await connected();
    const publish = assert.rejects(flow.publish("news", 1), unknown(2, "publish"));
    const history = flow.history("news");
    await settle();
    peer.commands();
    flow.reconnect();
    await publish;
    await settle();
    await platform.peer.accept();
    const [again, ...rest] = platform.peer.commands();
    assert.deepEqual([Object.keys(again ?? {})[1], rest.length], ["history", 0]);
    await platform.peer.say({ id: again?.id, history: {} });
    await history;
  });

  test("nor is one that was waiting to be repeated; one never sent waits on", async () => {
    const { flow, platform, peer } = await connected();
    const repeated = assert.rejects(flow.publish("news", "sent"), unknown(2, "publish"));
    await settle();
    await peer.drop();
    flow.publish("news", "not sent").catch(() => {});
    flow.reconnect();
    await repeated;
    await settle();
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands().map(({ publish }) => (publish as { data: unknown }).data), ["not sent"]);
    flow.close();
  });

  test("is unknown when the page closes, or the server ends it; what was never sent has failed", async () => {
    for (const end of ["close", "waiting", "terminal"]) {
      const { flow, peer, platform } = await connected();
      const publish = assert.rejects(flow.publish("news", 1), { unknown: true, temporary: false });
      const history = assert.rejects(flow.history("news"), { unknown: false });
      await settle();
      if (end === "waiting") await peer.drop();
      const late = end === "waiting" && assert.rejects(flow.publish("news", 2), { code: 4, unknown: false });
      if (end === "terminal") await peer.drop(3500);
      else flow.close();
      await Promise.all([publish, history, late]);
      assert.equal(platform.timers, 0, end);
    }
  });
});

describe("a command whose time is over", () => {
  test("is unknown if it was sent, be it once or again, and failed if it was not", async () => {
    const { flow, platform, peer } = await connected({ commandTimeout: 1000 });
    const sent = assert.rejects(flow.publish("news", 1), unknown(1, "publish"));
    const read = assert.rejects(flow.history("news"), { code: 1, temporary: true, unknown: false });
    await settle();
    await peer.drop();
    const waiting = assert.rejects(flow.publish("news", 2), { code: 1, temporary: true, unknown: false, message: "No connection within 1000 ms." });
    await settle();
    await platform.pass(1000);
    await Promise.all([sent, read, waiting]);
    const { flow: live, platform: there } = await connected({ commandTimeout: 1000 });
    const calls = [assert.rejects(live.publish("news", 1), unknown(1, "publish")), assert.rejects(live.rpc("x"), unknown(1, "rpc"))];
    await settle();
    await there.pass(1000);
    await Promise.all(calls);
  });
});

describe("a publish that the server could not carry out", () => {
  const failed = { code: 100, message: "internal server error", temporary: true };

  test("is tried again with its key: its store may have it", async () => {
    const { flow, platform, peer } = await connected();
    const call = flow.publish("news", 1);
    await settle();
    const [first] = peer.commands();
    await peer.say({ id: first?.id, error: failed });
    assert.deepEqual(peer.commands(), []);
    await platform.pass(10_000 / 20);
    const [again] = peer.commands();
    assert.deepEqual(again, first);
    await peer.say({ id: again?.id, publish: {} });
    await call;
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("is tried again at once when the link was lost meanwhile, and once", async () => {
    const { flow, platform, peer } = await connected();
    const call = flow.publish("news", 1);
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: failed });
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    const [again] = platform.peer.commands();
    assert.ok(again?.["publish"]);
    await platform.peer.say({ id: again.id, publish: {} });
    await call;
    flow.close();
    assert.equal(platform.timers, 0);
    assert.deepEqual(platform.peer.commands(), []);
  });

  test("is unknown when its time is over, and when it is refused at a later try", async () => {
    const { flow, platform, peer } = await connected({ commandTimeout: 1000 });
    const call = assert.rejects(flow.publish("news", 1), unknown(1, "publish"));
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: failed });
    await platform.pass(1000);
    await call;
    await platform.pass(10_000);
    peer.commands();
    const refused = assert.rejects(flow.publish("news", 2), unknown(103, "publish"));
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: failed });
    await platform.pass(500);
    await peer.say({ id: peer.commands()[0]?.id, error: { code: 103, message: "permission denied" } });
    await refused;
    const plain = assert.rejects(flow.publish("news", 3), { code: 103, unknown: false, message: "permission denied" });
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: { code: 103, message: "permission denied" } });
    await plain;
  });

  test("other commands are not tried again by themselves", async () => {
    const { flow, platform, peer } = await connected();
    const call = assert.rejects(flow.history("news"), { code: 100, temporary: true, unknown: false });
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: failed });
    await call;
    flow.close();
    assert.equal(platform.timers, 0);
  });
});

describe("idempotency keys", () => {
  test("are the page's own if it gives one", async () => {
    const { flow, peer } = await connected();
    flow.publish("news", 1, { idempotencyKey: "order-7" }).catch(() => {});
    await settle();
    assert.deepEqual(keys(peer.commands()), ["order-7"]);
    await assert.rejects(flow.publish("news", 1, { idempotencyKey: "" }), /1 to 128 characters/);
    await assert.rejects(flow.publish("news", 1, { idempotencyKey: "k".repeat(129) }), /1 to 128 characters/);
    await assert.rejects(flow.publish("news", 1, { idempotencyKey: 7 as never }), /1 to 128 characters/);
    flow.close();
  });

  test("a subscription's publish takes one too", async () => {
    const { flow, peer, commands } = await connected({ channels: { news() {} } });
    await peer.say({ id: commands[1]?.id, subscribe: {} });
    flow.subscribe("news").publish(1, { idempotencyKey: "order-7" }).catch(() => {});
    await settle();
    assert.deepEqual(keys(peer.commands()), ["order-7"]);
    flow.close();
  });

  test("of two pages are not alike", async () => {
    const found = new Set<unknown>();
    for (const chance of [0.123456, 0.654321]) {
      const platform = new TestPlatform();
      platform.chance = chance;
      const { flow } = start({}, platform);
      await settle();
      await platform.peer.accept();
      flow.publish("news", 1).catch(() => {});
      await settle();
      found.add(keys(platform.peer.commands())[0]);
      flow.close();
    }
    assert.equal(found.size, 2);
  });
});

describe("a command larger than the server takes", () => {
  test("fails alone; the client comes back and repeats the others", async () => {
    const { flow, platform, peer } = await connected();
    const large = flow.publish("news", "x".repeat(100_000));
    const small = flow.publish("news", "small");
    await settle();
    assert.equal(peer.commands().length, 2);
    const failed = assert.rejects(large, { code: 106, temporary: false, unknown: false, message: /too large for the server/ });
    await peer.drop(1009);
    await failed;
    await platform.pass(500);
    await platform.peer.accept();
    const [again] = platform.peer.commands();
    assert.equal((again?.["publish"] as { data?: unknown }).data, "small");
    await platform.peer.say({ id: again?.id, publish: {} });
    await small;
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("ends the connection for good when there is none that large", async () => {
    const { flow, peer } = await connected();
    const small = assert.rejects(flow.publish("news", "small"), unknown(2, "publish"));
    await settle();
    await peer.drop(1009);
    await small;
    assert.deepEqual([flow.state, flow.detail.code], ["disconnected", 1009]);
  });
});
