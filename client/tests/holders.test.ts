/** Who holds a channel, and that nothing stays of those who have let go. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import type { Flow } from "../src/flow.js";
import type { SubscriptionOptions } from "../src/subscription.js";
import { connected, JWT, type Peer, type Sent, settle } from "./platform.js";

/** What a command asks, by its name. */
function words(commands: Sent[]): string[] {
  return commands.map((command) => Object.keys(command).filter((key) => key !== "id")[0] ?? "");
}

function asked(commands: Sent[]): Record<string, unknown> {
  const command = commands.find((sent) => sent["subscribe"]);
  assert.ok(command, "no subscribe command was sent");
  return command["subscribe"] as Record<string, unknown>;
}

async function answer(peer: Peer, result: object = {}): Promise<Record<string, unknown>> {
  const commands = peer.commands();
  const request = asked(commands);
  await peer.say({ id: commands.find((sent) => sent["subscribe"])?.id, subscribe: result });
  return request;
}

async function refuse(peer: Peer, code: number): Promise<Record<string, unknown>> {
  const commands = peer.commands();
  const request = asked(commands);
  await peer.say({ id: commands.find((sent) => sent["subscribe"])?.id, error: { code, message: "no" } });
  return request;
}

let offset = 0;

function publication(data: unknown): object {
  return { push: { channel: "news", pub: { data, offset: ++offset } } };
}

/** A connected flow, and a subscription to `news` that is live at the offset of now. */
async function live(options?: SubscriptionOptions | ((data: unknown) => unknown)): Promise<{
  flow: Flow;
  peer: Peer;
  platform: Awaited<ReturnType<typeof connected>>["platform"];
  first: ReturnType<Flow["subscribe"]>;
}> {
  const { flow, peer, platform } = await connected();
  const first = flow.subscribe("news", options);
  await settle();
  await answer(peer, { recoverable: true, epoch: "e", offset });
  return { flow, peer, platform, first };
}

describe("a channel held by several", () => {
  test("is asked for once, left with the last, and each gets what it asked for while it holds", async () => {
    const seen: string[] = [];
    const { flow, peer, first } = await live((data) => seen.push(`first ${data}`));
    const second = flow.subscribe("news", (data) => seen.push(`second ${data}`));
    await settle();
    assert.deepEqual(peer.commands(), []);
    await peer.say(publication("a"));
    first.unsubscribe();
    await settle();
    assert.deepEqual([first.state, second.state, peer.commands()], ["unsubscribed", "subscribed", []]);
    await peer.say(publication("b"));
    second.unsubscribe();
    await settle();
    assert.deepEqual(peer.commands().map((sent) => sent["unsubscribe"]), [{ channel: "news" }]);
    await peer.say(publication("c"));
    assert.deepEqual(seen, ["first a", "second a", "second b"]);
  });

  test("one who lets go twice counts once", async () => {
    const { flow, peer, first } = await live();
    flow.subscribe("news");
    first.unsubscribe();
    first.unsubscribe();
    await settle();
    assert.deepEqual(peer.commands(), []);
  });

  test("one who lets go while a publication is handed out is not called any more", async () => {
    const seen: string[] = [];
    const { flow, peer } = await live(() => second.unsubscribe());
    const second = flow.subscribe("news", () => seen.push("second"));
    await peer.say(publication("a"));
    assert.deepEqual(seen, []);
  });

  test("one who comes while a publication is handed out gets the next", async () => {
    const seen: unknown[] = [];
    let came = false;
    const { flow, peer } = await live(() => {
      if (!came) flow.subscribe("news", (data) => seen.push(data));
      came = true;
    });
    await peer.say(publication("a"), publication("b"));
    assert.deepEqual(seen, ["b"]);
  });

  test("states are told to each: what is so on coming, the end on going", async () => {
    const states: string[] = [];
    const note = (who: string) => (state: string): void => void states.push(`${who} ${state}`);
    const { flow, first } = await live({ onState: note("first") });
    const second = flow.subscribe("news", { onState: note("second") });
    first.unsubscribe();
    await settle();
    assert.deepEqual(states, ["first subscribing", "first subscribed", "second subscribed", "first unsubscribed"]);
    assert.deepEqual([first.detail.reason, second.detail.code], ["unsubscribed by the page", 0]);
    await assert.rejects(first.ready(), { code: 7, message: "Not subscribed to news: unsubscribed by the page." });
    await second.ready();
  });

  test("the end by the server is told to all; any of them asks again for all", async () => {
    const { flow, peer, first } = await live();
    const second = flow.subscribe("news");
    await peer.say({ push: { channel: "news", unsubscribe: { code: 2000, reason: "by server" } } });
    assert.deepEqual([first.detail, second.detail], [{ code: 2000, reason: "by server" }, { code: 2000, reason: "by server" }]);
    second.subscribe();
    await settle();
    await answer(peer);
    assert.deepEqual([first.state, second.state], ["subscribed", "subscribed"]);
  });

  test("a refusal is the end: leaving after it is not told again", async () => {
    const states: string[] = [];
    const { flow, peer } = await connected({ onError() {} });
    const subscription = flow.subscribe("news", { onState: (state) => states.push(state) });
    await settle();
    await refuse(peer, 103);
    subscription.unsubscribe();
    assert.deepEqual(states, ["subscribing", "unsubscribed"]);
  });

  test("commands do not wait for a subscription where there is no connection", async () => {
    const { flow, first } = await live();
    flow.close();
    await assert.rejects(first.publish(1), { code: 4, message: /^Not connected: closed by the page/ });
  });

  test("an error goes to each who wants to know, and to the flow where nobody does", async () => {
    const errors: string[] = [];
    const { flow, peer } = await connected({ onError: ({ code }) => errors.push(`flow ${code}`) });
    const tell = (who: string) => ({ code }: MessageflowError): void => void errors.push(`${who} ${code}`);
    const first = flow.subscribe("news", { onError: tell("first") });
    const second = flow.subscribe("news", { onError: tell("second") });
    flow.subscribe("news");
    await settle();
    await refuse(peer, 103);
    assert.deepEqual(errors.splice(0), ["first 103", "second 103"]);
    first.unsubscribe();
    second.unsubscribe();
    flow.subscribe("news");
    await settle();
    await refuse(peer, 103);
    assert.deepEqual(errors, ["flow 103"]);
  });
});

describe("doing and undoing in one tick", () => {
  test("subscribe, unsubscribe, subscribe, as React draws twice, is one request", async () => {
    const seen: string[] = [];
    const { flow, peer } = await connected();
    flow.subscribe("news", () => seen.push("first")).unsubscribe();
    const second = flow.subscribe("news", () => seen.push("second"));
    await settle();
    assert.deepEqual(asked(peer.commands())["channel"], "news");
    assert.equal(peer.commands().length, 0);
    await peer.say({ id: 2, subscribe: { epoch: "e", offset } });
    assert.equal(second.state, "subscribed");
    await peer.say(publication("a"));
    assert.deepEqual(seen, ["second"]);
  });

  test("subscribe and unsubscribe asks for nothing", async () => {
    const { flow, peer, platform } = await connected();
    flow.subscribe("news").unsubscribe();
    await settle();
    assert.deepEqual(peer.commands(), []);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("one who goes as another comes leaves the subscription as it is", async () => {
    const seen: unknown[] = [];
    const { flow, peer, first } = await live();
    first.unsubscribe();
    const second = flow.subscribe("news", (data) => seen.push(data));
    assert.equal(second.state, "subscribed");
    await settle();
    assert.deepEqual(peer.commands(), []);
    await peer.say(publication("a"));
    assert.deepEqual(seen, ["a"]);
  });

  test("going twice in one tick does not end who comes right after", async () => {
    const { flow, peer, first } = await live();
    first.unsubscribe();
    first.subscribe();
    first.unsubscribe();
    const later: ReturnType<Flow["subscribe"]>[] = [];
    await Promise.resolve().then(() => later.push(flow.subscribe("news")));
    await settle();
    await answer(peer, { epoch: "e", offset });
    assert.equal(later[0]?.state, "subscribed");
    later[0]?.unsubscribe();
    await settle();
    assert.deepEqual(words(peer.commands()), ["unsubscribe"]);
  });
});

describe("going and coming in the turns of one tick", () => {
  test("ends nobody who came in between", async () => {
    const { flow, peer, first } = await live();
    first.unsubscribe();
    const between = Promise.resolve().then(() => flow.subscribe("news"));
    first.subscribe();
    first.unsubscribe();
    const second = await between;
    await settle();
    peer.commands();
    second.unsubscribe();
    second.subscribe();
    assert.notEqual(second.state, "unsubscribed");
    await peer.drop();
    assert.equal(second.state, "subscribing");
  });
});

describe("one who comes back", () => {
  test("is another than one who comes new, who begins at the top", async () => {
    const { flow, peer, first } = await live();
    first.unsubscribe();
    await settle();
    flow.subscribe("news");
    await settle();
    assert.deepEqual(asked(peer.commands()), { channel: "news", recoverable: true });
  });

  test("resumes where the channel was left", async () => {
    const seen: unknown[] = [];
    const { peer, first } = await live({ onPublication: (data) => seen.push(data), onRecovery: (recovered) => seen.push(recovered) });
    const at = offset;
    first.unsubscribe();
    await settle();
    first.subscribe();
    await settle();
    const commands = peer.commands();
    assert.deepEqual(words(commands), ["unsubscribe", "subscribe"]);
    assert.deepEqual(asked(commands), { channel: "news", recoverable: true, recover: true, epoch: "e", offset: at });
    const publications = [{ data: "missed", offset: ++offset }];
    await peer.say({ id: commands[1]?.id, subscribe: { recovered: true, epoch: "e", offset: at, publications } });
    assert.deepEqual(seen, [true, "missed"]);
  });

  test("while others went on is told what it missed, if it missed anything", async () => {
    const recovered: boolean[] = [];
    const { flow, peer, first } = await live({ onRecovery: (whole) => recovered.push(whole) });
    flow.subscribe("news");
    first.unsubscribe();
    await settle();
    first.subscribe();
    assert.deepEqual(recovered, []);
    first.unsubscribe();
    await peer.say(publication("missed"));
    first.subscribe();
    assert.deepEqual(recovered, [false]);
    assert.equal(first.state, "subscribed");
  });

  test("to a channel without positions while others went on cannot know, and is told so", async () => {
    const recovered: boolean[] = [];
    const { flow, peer } = await connected();
    const first = flow.subscribe("news", { onRecovery: (whole) => recovered.push(whole) });
    flow.subscribe("news");
    await settle();
    await answer(peer);
    first.unsubscribe();
    await settle();
    first.subscribe();
    assert.deepEqual(recovered, [false]);
  });

  test("after positions became void starts anew", async () => {
    const { peer, platform, first } = await live();
    first.unsubscribe();
    await settle();
    await peer.drop(3014);
    await platform.pass(250);
    await platform.peer.accept();
    first.subscribe();
    await settle();
    assert.deepEqual(asked(platform.peer.commands()), { channel: "news", recoverable: true });
  });
});

describe("nothing stays", () => {
  test("of a subscription that was left, whatever it was waiting for", async () => {
    const ways: [string, (flow: Flow, peer: Peer) => Promise<unknown>][] = [
      ["live", (_, peer) => answer(peer, { epoch: "e", offset, expires: true, ttl: 100 })],
      ["refused", (_, peer) => refuse(peer, 103)],
      ["tried again later", (_, peer) => refuse(peer, 100)],
      ["being counted", async (_, peer) => {
        await answer(peer);
        await peer.say({ push: { channel: "news", join: { info: { user: "bob", client: "c2" } } } });
      }],
    ];
    for (const [what, act] of ways) {
      const { flow, peer, platform, commands } = await connected({ onError() {} });
      const timers = platform.timers;
      const counts: unknown[] = [];
      const subscription = flow.subscribe("news", { getToken: () => JWT, onCount: (count) => counts.push(count), onError() {} });
      await settle();
      await act(flow, peer);
      const waiting = peer.commands().find((sent) => sent["presence_stats"])?.id;
      subscription.unsubscribe();
      await settle();
      if (waiting) await peer.say({ id: waiting, presence_stats: { num_clients: 1, num_users: 1 } });
      const farewell = peer.commands().find((sent) => sent["unsubscribe"])?.id;
      if (farewell) await peer.say({ id: farewell, unsubscribe: {} });
      assert.deepEqual(counts, [], what);
      assert.equal(platform.timers, timers, what);
      await peer.drop();
      await platform.pass(250);
      assert.deepEqual(words(await platform.peer.accept()), words(commands), `${what}: not asked for again`);
    }
  });

  test("of one who left, in memory", async () => {
    const { flow, peer, platform } = await connected();
    const gone: WeakRef<object>[] = [];
    const come = (): (() => void) => {
      const big = {};
      const read = (): object => big;
      gone.push(new WeakRef(big));
      const subscription = flow.subscribe("news", { onPublication: read, onCount: read, onState: read, onError: read });
      const offs = [flow.on("a", read), flow.onMessage(read), flow.onState(read), subscription.onJoin(read)];
      return () => [...offs, () => subscription.unsubscribe()].forEach((off) => off());
    };
    const visit = async (act?: () => Promise<unknown>): Promise<void> => {
      const go = come();
      if (act) await settle();
      await act?.();
      go();
      await settle();
      for (const { id } of peer.commands()) await peer.say({ id, unsubscribe: {} });
    };
    await visit();
    await visit(() => answer(peer, { epoch: "e", offset }));
    await visit(() => refuse(peer, 103));
    const collect = (globalThis as { gc?: () => void }).gc;
    assert.ok(collect, "run with --expose-gc");
    collect();
    await settle();
    collect();
    assert.deepEqual(gone.map((ref) => ref.deref() === undefined), [true, true, true]);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("of a command that waited for the subscription in vain", async () => {
    const { flow, platform } = await connected({ commandTimeout: 1000 });
    const subscription = flow.subscribe("news", { getToken: () => new Promise<string>(() => {}) });
    const late = assert.rejects(subscription.publish(1), { code: 1, message: "Not subscribed to news within 1000 ms." });
    await settle();
    const before = platform.timers;
    await platform.pass(1000);
    await late;
    assert.equal(platform.timers, before - 1);
  });
});

describe("joins and leaves", () => {
  test("are asked for as soon as one wants them, and no more when they have gone", async () => {
    const joins: string[] = [];
    const { flow, peer, platform, first } = await live();
    const second = flow.subscribe("news", { onJoin: ({ user }) => joins.push(user) });
    await settle();
    const renewed = peer.commands();
    assert.deepEqual(words(renewed), ["unsubscribe", "subscribe"]);
    assert.equal(asked(renewed)["join_leave"], true);
    await peer.say({ id: renewed[1]?.id, subscribe: { epoch: "e", offset, recovered: true } });
    await peer.say({ push: { channel: "news", join: { info: { user: "bob", client: "c2" } } } });
    second.unsubscribe();
    await peer.say({ push: { channel: "news", join: { info: { user: "eve", client: "c3" } } } });
    assert.deepEqual(joins, ["bob"]);
    await peer.drop();
    await platform.pass(250);
    assert.equal(asked(await platform.peer.accept())["join_leave"], undefined);
    assert.equal(first.state, "subscribing");
  });

  test("are asked for once, however many want them", async () => {
    const { flow, peer, first } = await live({ onJoin() {} });
    first.onLeave(() => {});
    flow.subscribe("news", { onJoin() {}, onLeave() {} });
    await settle();
    assert.deepEqual(peer.commands(), []);
  });

  test("of one whose handlers were taken back are not asked for", async () => {
    const { flow, peer } = await connected();
    const subscription = flow.subscribe("news");
    subscription.onJoin(() => {})();
    subscription.onLeave(() => {})();
    subscription.onCount(() => {})();
    await settle();
    assert.deepEqual(asked(peer.commands()), { channel: "news", recoverable: true });
  });
});

describe("the token of a channel held by several", () => {
  test("is that of whoever came last with one", async () => {
    const { flow, peer, platform } = await connected();
    const first = flow.subscribe("news", { getToken: () => "first" });
    await settle();
    assert.equal((await answer(peer, { expires: true, ttl: 10 }))["token"], "first");
    const second = flow.subscribe("news", { getToken: () => "second" });
    flow.subscribe("news");
    await platform.pass(8000);
    const [refresh] = peer.commands();
    assert.deepEqual(refresh?.["sub_refresh"], { channel: "news", token: "second" });
    await peer.say({ id: refresh?.id, sub_refresh: { expires: true, ttl: 10 } });
    second.unsubscribe();
    await platform.pass(8000);
    assert.deepEqual(peer.commands().map((sent) => sent["sub_refresh"]), [{ channel: "news", token: "first" }]);
    assert.equal(first.state, "subscribed");
  });

  test("goes on when a newcomer has a way to one: a reconnect waits for no other", async () => {
    const { flow, peer, platform } = await connected();
    flow.subscribe("news", { getToken: () => "first" });
    await settle();
    await answer(peer);
    flow.subscribe("news", { getToken: () => "second" });
    await peer.drop();
    await platform.pass(250);
    assert.equal(asked(await platform.peer.open())["token"], "first");
  });

  test("given while a request without one is under way, is tried when that is refused", async () => {
    const { flow, peer } = await connected({ onError: (error) => assert.fail(error) });
    const first = flow.subscribe("news");
    await settle();
    const second = flow.subscribe("news", { token: JWT });
    assert.equal((await refuse(peer, 103))["token"], undefined);
    assert.equal((await answer(peer))["token"], JWT);
    assert.deepEqual([first.state, second.state], ["subscribed", "subscribed"]);
  });

  test("is not waited for from one who has gone", async () => {
    const { flow, peer } = await connected();
    const first = flow.subscribe("news", { getToken: () => new Promise<string>(() => {}) });
    await settle();
    flow.subscribe("news", { token: JWT });
    first.unsubscribe();
    await settle();
    assert.equal((await answer(peer))["token"], JWT);
  });

  test("refused once is not used by whoever comes with another", async () => {
    const { flow, peer } = await connected({ onError() {} });
    flow.subscribe("news", { token: "old.old.old" });
    await settle();
    await refuse(peer, 103);
    flow.subscribe("news", { getToken: () => JWT });
    await settle();
    assert.equal((await answer(peer))["token"], JWT);
  });
});

describe("a channel the server gave by itself", () => {
  test("goes back to the flow's handlers when the page lets it go", async () => {
    const seen: unknown[] = [];
    const { flow, peer, platform } = await connected({ onUnknown: (data) => seen.push(["flow", data]) }, { subs: { news: { epoch: "e", offset } } });
    const subscription = flow.subscribe("news", (data) => seen.push(["page", data]));
    await peer.say(publication("a"));
    subscription.unsubscribe();
    await settle();
    assert.deepEqual(peer.commands(), []);
    await peer.say(publication("b"));
    subscription.subscribe();
    assert.equal(subscription.state, "subscribed");
    await peer.say(publication("c"));
    assert.deepEqual(seen, [["page", "a"], ["flow", "b"], ["page", "c"]]);
    await peer.drop();
    await platform.pass(250);
    const [connect] = await platform.peer.open();
    assert.deepEqual((connect?.["connect"] as { subs: unknown }).subs, { news: { recover: true, epoch: "e", offset } });
  });
});

describe("misuse", () => {
  test("is refused before anything is held", async () => {
    const { flow, peer } = await connected();
    assert.throws(() => flow.subscribe("news", { onPublication: 7 as never }), /handler must be a function, not number/);
    assert.throws(() => flow.subscribe("news", { onCount: "x" as never }), /handler must be a function, not string/);
    assert.throws(() => flow.subscribe("news", { getToken: "x" as never }), /getToken must be a function/);
    assert.throws(() => flow.subscribe("news", null as never), /takes a function, or an object/);
    await settle();
    assert.deepEqual(peer.commands(), []);
  });
});
