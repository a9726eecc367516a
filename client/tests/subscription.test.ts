import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import { connected, JWT, type Sent, settle, start } from "./platform.js";

/** Answer the subscribe command among some commands. */
function reply(commands: Sent[], result: object): object {
  const command = commands.find((sent) => sent["subscribe"]);
  assert.ok(command, "no subscribe command was sent");
  return { id: command.id, subscribe: result };
}

function fail(commands: Sent[], code: number, message: string, temporary = false): object {
  const command = commands.find((sent) => sent["subscribe"]);
  assert.ok(command, "no subscribe command was sent");
  return { id: command.id, error: { code, message, temporary } };
}

function request(commands: Sent[]): Record<string, unknown> | undefined {
  return commands.find((sent) => sent["subscribe"])?.["subscribe"] as Record<string, unknown> | undefined;
}

describe("subscriptions", () => {
  test("publications come from the reply on, even within its frame", async () => {
    const seen: unknown[] = [];
    const { peer, commands } = await connected({ channels: { news: (data, { offset }) => seen.push([data, offset]) } });
    await peer.say(
      { push: { channel: "news", pub: { data: "early", offset: 4 } } },
      reply(commands, { recoverable: true, epoch: "e", offset: 4 }),
      { push: { channel: "news", pub: { data: "first", offset: 5 } } },
      { push: { channel: "news", pub: { data: "again", offset: 5 } } },
    );
    assert.deepEqual(seen, [["first", 5]]);
  });

  test("a subscription made while connected is asked for at once", async () => {
    const { flow, peer } = await connected();
    const subscription = flow.subscribe("news");
    assert.equal(subscription.state, "subscribing");
    await settle();
    const commands = peer.commands();
    assert.deepEqual(request(commands), { channel: "news", recoverable: true });
    await peer.say(reply(commands, {}));
    assert.equal(subscription.state, "subscribed");
  });

  test("a reconnect recovers in the first frame, and tells each publication once", async () => {
    const seen: unknown[] = [];
    const { peer, platform, commands } = await connected({
      channels: {
        news: {
          onPublication: (data, { recovered }) => seen.push([data, recovered]),
          onRecovery: (recovered) => seen.push(recovered),
          onState: (state) => seen.push(state),
        },
      },
    });
    await peer.say(reply(commands, { recoverable: true, epoch: "e", offset: 4, tag: "t4" }));
    await peer.drop();
    await platform.pass(250);
    const again = await platform.peer.accept();
    assert.deepEqual(request(again), { channel: "news", recoverable: true, recover: true, epoch: "e", offset: 4, tag: "t4" });
    await platform.peer.say(
      reply(again, { epoch: "e", offset: 4, recovered: true, publications: [{ data: "a", offset: 5 }] }),
      { push: { channel: "news", pub: { data: "a", offset: 5 } } },
      { push: { channel: "news", pub: { data: "b", offset: 6 } } },
    );
    assert.deepEqual(seen, ["subscribing", "subscribed", "subscribing", "subscribed", true, ["a", true], ["b", false]]);
  });

  test("what could not be recovered is told once, before anything new", async () => {
    const seen: unknown[] = [];
    const { peer, platform, commands } = await connected({
      channels: { news: (data) => seen.push(data) },
      onRecovery: (recovery) => seen.push(recovery),
    });
    await peer.say(reply(commands, { epoch: "e", offset: 4 }));
    await peer.drop();
    await platform.pass(250);
    await platform.peer.say(reply(await platform.peer.accept(), { epoch: "f", offset: 1, was_recovering: true }), {
      push: { channel: "news", pub: { data: "new", offset: 2 } },
    });
    assert.deepEqual(seen, [{ channel: "news", recovered: false }, "new"]);
  });

  test("a gap among live publications is told before what follows it", async () => {
    const seen: unknown[] = [];
    const { peer, commands } = await connected({
      channels: { news: { onPublication: (data) => seen.push(data), onRecovery: (recovered) => seen.push(recovered) } },
    });
    await peer.say(reply(commands, { epoch: "e", offset: 4 }), { push: { channel: "news", pub: { data: "x", offset: 9 } } });
    assert.deepEqual(seen, [false, "x"]);
  });

  test("unsubscribing tells the server and ends the handlers' calls; subscribing resumes", async () => {
    const seen: unknown[] = [];
    const { flow, peer } = await connected();
    const subscription = flow.subscribe("news", (data) => seen.push(data));
    await settle();
    await peer.say(reply(peer.commands(), { epoch: "e", offset: 4 }));
    subscription.unsubscribe();
    subscription.unsubscribe();
    await settle();
    assert.deepEqual(peer.commands().map((sent) => sent["unsubscribe"]), [{ channel: "news" }]);
    await peer.say({ push: { channel: "news", pub: { data: "late", offset: 5 } } });
    assert.deepEqual(seen, []);
    subscription.subscribe();
    await settle();
    assert.deepEqual(request(peer.commands()), { channel: "news", recoverable: true, recover: true, epoch: "e", offset: 4 });
  });

  test("a reply to a request given up does not count", async () => {
    const { flow, peer } = await connected();
    const subscription = flow.subscribe("news");
    await settle();
    const commands = peer.commands();
    subscription.unsubscribe();
    await settle();
    subscription.subscribe();
    await peer.say(reply(commands, { epoch: "e", offset: 4 }));
    assert.equal(subscription.state, "subscribing");
    await peer.say(reply(peer.commands(), { epoch: "e", offset: 4 }));
    assert.equal(subscription.state, "subscribed");
  });

  test("a refusal ends the subscription and is told, without touching others", async () => {
    const errors: MessageflowError[] = [];
    const { flow, peer, commands } = await connected({
      channels: { secret: { onError: (error) => errors.push(error) } },
    });
    await peer.say(fail(commands, 103, "permission denied"));
    const [error] = errors;
    assert.deepEqual([error?.code, error?.message], [103, "Not subscribed to secret: permission denied"]);
    assert.equal(flow.state, "connected");
    assert.equal(peer.commands().length, 0);
  });

  test("a temporary error is tried again with backoff", async () => {
    const { platform, peer, commands, flow } = await connected({ channels: { news() {} } });
    await peer.say(fail(commands, 100, "internal", true));
    await platform.pass(249);
    assert.equal(peer.commands().length, 0);
    await platform.pass(1);
    await peer.say(reply(peer.commands(), {}));
    assert.equal(flow.subscribe("news").state, "subscribed");
  });

  test("temporary errors are tried again later and later, until one try succeeds", async () => {
    const { platform, peer, commands } = await connected({ channels: { news() {} } });
    let asked = commands;
    for (const delay of [250, 500, 1000]) {
      await peer.say(fail(asked, 100, "internal", true));
      await platform.pass(delay - 1);
      assert.equal(peer.commands().length, 0, String(delay));
      await platform.pass(1);
      asked = peer.commands();
    }
    await peer.say(reply(asked, {}));
    await peer.say({ push: { channel: "news", unsubscribe: { code: 2500, reason: "" } } });
    await peer.say(fail(peer.commands(), 100, "internal", true));
    await platform.pass(250);
    assert.ok(request(peer.commands()));
  });

  test("a gap among what is recovered belongs to the recovery", async () => {
    const recovered: boolean[] = [];
    const { platform, peer, commands } = await connected({ channels: { news() {} }, onRecovery: (told) => recovered.push(told.recovered) });
    await peer.say(reply(commands, { epoch: "e", offset: 4 }));
    await peer.drop();
    await platform.pass(250);
    const again = await platform.peer.accept();
    const publications = [{ data: "a", offset: 5 }, { data: "c", offset: 8 }];
    await platform.peer.say(reply(again, { epoch: "e", offset: 4, recovered: true, publications }));
    assert.deepEqual(recovered, [true]);
  });

  test("unsubscribe pushes: from 2500 on it asks again, below it is over", async () => {
    const { flow, peer, commands } = await connected({ channels: { news() {} } });
    const subscription = flow.subscribe("news");
    await peer.say(reply(commands, { epoch: "e", offset: 4 }));
    await peer.say({ push: { channel: "news", unsubscribe: { code: 2500, reason: "insufficient state" } } });
    const again = peer.commands();
    assert.equal(request(again)?.["recover"], true);
    await peer.say(reply(again, { epoch: "e", offset: 4, recovered: true }));
    await peer.say({ push: { channel: "news", unsubscribe: { code: 2502, reason: "state invalidated" } } });
    const anew = peer.commands();
    assert.equal(request(anew)?.["recover"], undefined);
    await peer.say(reply(anew, {}));
    await peer.say({ push: { channel: "news", unsubscribe: { code: 2000, reason: "by server" } } });
    assert.deepEqual([subscription.state, subscription.detail], ["unsubscribed", { code: 2000, reason: "by server" }]);
    assert.equal(peer.commands().length, 0);
  });

  test("a subscribe command without a reply gives the link up", async () => {
    const { platform, peer } = await connected({ channels: { news() {} }, commandTimeout: 4000 });
    await platform.pass(4000);
    assert.equal(peer.closed, true);
    await platform.pass(250);
    assert.ok(request(await platform.peer.accept()));
  });
});

describe("subscription tokens", () => {
  test("are got before asking, and anew when expired", async () => {
    let count = 0;
    const { platform, peer, commands } = await connected({ channels: { vip: { getToken: () => `t${++count}` } } });
    assert.equal(request(commands)?.["token"], "t1");
    await peer.say(fail(commands, 109, "token expired"));
    await platform.pass(250);
    const second = peer.commands();
    assert.equal(request(second)?.["token"], "t2");
  });

  test("are got anew when the server says that they expired", async () => {
    let count = 0;
    const { peer, commands } = await connected({ channels: { vip: { getToken: () => `t${++count}` } } });
    await peer.say(reply(commands, {}));
    await peer.say({ push: { channel: "vip", unsubscribe: { code: 2501, reason: "expired" } } });
    assert.equal(request(peer.commands())?.["token"], "t2");
  });

  test("are refreshed before they expire", async () => {
    let count = 0;
    const { platform, peer, commands } = await connected({ channels: { vip: { getToken: () => `t${++count}` } } });
    await peer.say(reply(commands, { expires: true, ttl: 10 }));
    await platform.pass(8000);
    const [refresh] = peer.commands();
    assert.deepEqual(refresh?.["sub_refresh"], { channel: "vip", token: "t2" });
    await peer.say({ id: refresh?.id, sub_refresh: { expires: true, ttl: 10 } });
    await platform.pass(8000);
    assert.deepEqual(peer.commands().map((sent) => sent["sub_refresh"]), [{ channel: "vip", token: "t3" }]);
  });

  test("given and expired, with no way to another, end the subscription", async () => {
    const { flow, peer, commands } = await connected({ channels: { vip: { token: JWT, onError() {} } } });
    await peer.say(fail(commands, 109, "token expired"));
    assert.equal(flow.subscribe("other").state, "subscribing");
    await settle();
    assert.deepEqual(request(peer.commands())?.["channel"], "other");
  });
});

describe("server-side subscriptions to a channel the page also handles", () => {
  test("are taken over instead of asked for twice", async () => {
    const seen: unknown[] = [];
    const { flow, platform, peer, commands } = await connected(
      { channels: { news: (data) => seen.push(data) } },
      { subs: { news: { epoch: "e", offset: 4 } } },
    );
    await peer.say(fail(commands, 105, "already subscribed"), { push: { channel: "news", pub: { data: "a", offset: 5 } } });
    assert.deepEqual(seen, ["a"]);
    assert.equal(flow.subscribe("news").state, "subscribed");
    await peer.drop();
    await platform.pass(250);
    const again = await platform.peer.open();
    assert.equal(again.length, 1, "the position travels with connect");
    assert.deepEqual((again[0]?.["connect"] as { subs: unknown }).subs, { news: { recover: true, epoch: "e", offset: 5 } });
    await platform.peer.say({ id: again[0]?.id, connect: { client: "c2" } });
    assert.equal(request(platform.peer.commands())?.["channel"], "news", "not given this time: asked for");
  });

  test("go over to the page's subscription when it comes later", async () => {
    const seen: unknown[] = [];
    const { flow, peer } = await connected({ onUnknown: (data) => seen.push(["unknown", data]) }, { subs: { news: { epoch: "e", offset: 4 } } });
    await peer.say({ push: { channel: "news", pub: { data: "a", offset: 5 } } });
    flow.subscribe("news", (data) => seen.push(data));
    await peer.say({ push: { channel: "news", pub: { data: "a", offset: 5 } } }, { push: { channel: "news", pub: { data: "b", offset: 6 } } });
    assert.deepEqual(seen, [["unknown", "a"], "b"]);
    assert.equal(peer.commands().length, 0);
  });

  test("come and go by push", async () => {
    const seen: unknown[] = [];
    const { peer } = await connected({ onMessage: ({ type }) => seen.push(type) });
    await peer.say({ push: { channel: "*", subscribe: { epoch: "e", offset: 1 } } }, { push: { channel: "*", pub: { data: { type: "a" }, offset: 2 } } });
    await peer.say({ push: { channel: "*", unsubscribe: { code: 2000, reason: "" } } }, { push: { channel: "*", pub: { data: { type: "b" }, offset: 3 } } });
    assert.deepEqual(seen, ["a"]);
  });
});

describe("joins, leaves and the head count", () => {
  const info = { user: "bob", client: "c2" };

  test("are asked for where they are handled", async () => {
    const seen: unknown[] = [];
    const { peer, commands } = await connected({
      channels: { lobby: { onJoin: ({ user }) => seen.push(["join", user]), onLeave: ({ user }) => seen.push(["leave", user]) } },
    });
    assert.equal(request(commands)?.["join_leave"], true);
    await peer.say(reply(commands, {}), { push: { channel: "lobby", join: { info } } }, { push: { channel: "lobby", leave: { info } } });
    assert.deepEqual(seen, [["join", "bob"], ["leave", "bob"]]);
  });

  test("asked for later, the subscription is renewed with them", async () => {
    const { flow, peer, commands } = await connected({ channels: { lobby() {} } });
    await peer.say(reply(commands, { epoch: "e", offset: 2 }));
    flow.subscribe("lobby").onJoin(() => {});
    await settle();
    const [leave, again] = peer.commands();
    assert.deepEqual(leave?.["unsubscribe"], { channel: "lobby" });
    assert.deepEqual(again?.["subscribe"], { channel: "lobby", recoverable: true, join_leave: true, recover: true, epoch: "e", offset: 2 });
  });

  test("the count is asked for on subscribing and once after many changes", async () => {
    const counts: unknown[] = [];
    const { flow, platform, peer } = await connected();
    const off = flow.subscribe("lobby").onCount((count) => counts.push(count));
    await settle();
    await peer.say(reply(peer.commands(), {}));
    const [first] = peer.commands();
    assert.deepEqual(first?.["presence_stats"], { channel: "lobby" });
    await peer.say({ id: first?.id, presence_stats: { num_clients: 3, num_users: 2 } });
    for (let change = 0; change < 5; change++) {
      await peer.say({ push: { channel: "lobby", join: { info } } });
      await platform.pass(40);
    }
    assert.equal(peer.commands().length, 0);
    await platform.pass(50);
    const asked = peer.commands();
    assert.equal(asked.length, 1);
    await peer.say({ id: asked[0]?.id, presence_stats: { num_clients: 0, num_users: 0 } });
    assert.deepEqual(counts, [{ clients: 3, users: 2 }, { clients: 0, users: 0 }]);
    off();
    await peer.say({ push: { channel: "lobby", leave: { info } } });
    await platform.pass(1000);
    assert.equal(peer.commands().length, 0);
  });
});

describe("the head count of a channel that is held already", () => {
  test("is asked for at once; its refusal is told, its loss is not, and taken back it leaves no timer", async () => {
    const errors: number[] = [];
    const { flow, platform, peer, commands } = await connected({
      channels: { lobby: { onJoin() {} } },
      onError: ({ code }) => errors.push(code),
    });
    await peer.say(reply(commands, {}));
    const off = flow.subscribe("lobby").onCount(() => {});
    await settle();
    const [asked] = peer.commands();
    assert.deepEqual(asked?.["presence_stats"], { channel: "lobby" });
    await peer.say({ id: asked?.id, error: { code: 103, message: "permission denied" } });
    assert.deepEqual(errors, [103]);
    const before = platform.timers;
    await peer.say({ push: { channel: "lobby", join: { info: { user: "bob", client: "c2" } } } });
    off();
    assert.equal(platform.timers, before);
    flow.subscribe("lobby").onCount(() => {});
    flow.close();
    await settle();
    assert.deepEqual(errors, [103]);
  });
});

describe("misuse", () => {
  test("personal and broadcast channels are not subscribed to by name", () => {
    const { flow } = start();
    assert.throws(() => flow.subscribe("#alice"), /comes by itself; handle it with flow.on/);
    assert.throws(() => flow.subscribe("*"), /comes by itself/);
    assert.throws(() => flow.subscribe(""), /non-empty string/);
    assert.throws(() => flow.subscribe("news", { onPublication: 7 as never }), /handler must be a function/);
    flow.close();
  });
});
