/** State that the application owns: each change in the state or handed out, never both and never neither. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import type { Flow } from "../src/flow.js";
import type { Position } from "../src/position.js";
import type { SubscriptionOptions } from "../src/subscription.js";
import { connected, type Peer, settle, type TestPlatform } from "./platform.js";

/** An application whose state is the number of changes so far, and that answers when the test says so. */
class Application {
  /** What the page shows: the state, and the changes since. */
  shown: unknown[] = [];
  asked: { signal: AbortSignal; answer(at: Partial<Position> | undefined, epoch?: string): Promise<void>; fail(error: unknown): Promise<void> }[] = [];

  readonly options: SubscriptionOptions = {
    getState: ({ signal }) =>
      new Promise((resolve, reject) =>
        this.asked.push({
          signal,
          answer: (at) => {
            this.shown = [`state ${at?.offset}`];
            resolve(at as Position);
            return settle();
          },
          fail: (error) => (reject(error), settle()),
        }),
      ),
    onPublication: (data) => this.shown.push(data),
  };

  get last() {
    return this.asked.at(-1) ?? assert.fail("the state was not asked for");
  }
}

async function publish(peer: Peer, ...offsets: number[]): Promise<void> {
  await peer.say(...offsets.map((offset) => ({ push: { channel: "orders", pub: { data: offset, offset } } })));
}

async function answer(peer: Peer, result: object, commands = peer.commands()): Promise<Record<string, unknown>> {
  const command = commands.find((sent) => sent["subscribe"]) ?? assert.fail("not subscribed");
  await peer.say({ id: command.id, subscribe: { recoverable: true, epoch: "e", ...result } });
  return command["subscribe"] as Record<string, unknown>;
}

interface Page {
  flow: Flow;
  peer: Peer;
  platform: TestPlatform;
  application: Application;
  subscription: ReturnType<Flow["subscribe"]>;
  errors: MessageflowError[];
  lost: string[];
}

/** A page that is subscribed at offset 3 and has asked for the state. */
async function open(): Promise<Page> {
  const errors: MessageflowError[] = [];
  const lost: string[] = [];
  const { flow, peer, platform } = await connected({
    onError: (error) => errors.push(error),
    onRecovery: ({ channel, recovered }) => recovered || lost.push(channel),
  });
  const application = new Application();
  const subscription = flow.subscribe("orders", application.options);
  await settle();
  assert.equal(application.asked.length, 0, "asked before the stream had a position");
  await answer(peer, { offset: 3 });
  return { flow, peer, platform, application, subscription, errors, lost };
}

/** A new link, and what the server says of resuming over it. */
async function back({ flow, platform }: Page, result: object): Promise<[peer: Peer, asked: Record<string, unknown>]> {
  await platform.peer.drop();
  await platform.pass(flow.detail.retryIn ?? 0);
  const commands = await platform.peer.accept();
  return [platform.peer, await answer(platform.peer, result, commands)];
}

describe("state that the application owns", () => {
  test("changes that race the answer are in the state or handed out, once and in order", async () => {
    const { peer, application } = await open();
    await publish(peer, 4, 5);
    await application.last.answer({ epoch: "e", offset: 4, tag: "t" });
    await publish(peer, 6);
    assert.deepEqual([application.shown, application.asked.length], [["state 4", 5, 6], 1]);
  });

  test("a change that the state has and the stream brings later is not handed out", async () => {
    const { peer, application } = await open();
    await application.last.answer({ epoch: "e", offset: 5 });
    await publish(peer, 4, 5, 6);
    assert.deepEqual(application.shown, ["state 5", 6]);
  });

  test("is not fetched again after an absence that the stream makes up for", async () => {
    const page = await open();
    await page.application.last.answer({ epoch: "e", offset: 3 });
    const [, asked] = await back(page, { recovered: true, offset: 3, publications: [{ offset: 4, data: 4 }] });
    assert.deepEqual([asked["recover"], asked["offset"]], [true, 3]);
    assert.deepEqual([page.application.shown, page.application.asked.length], [["state 3", 4], 1]);
  });

  test("is fetched anew after one that it does not, and nobody is told of a loss", async () => {
    const page = await open();
    const { application } = page;
    await application.last.answer({ epoch: "e", offset: 3 });
    const [peer] = await back(page, { recovered: false, epoch: "f", offset: 9 });
    await publish(peer, 10, 11);
    await application.last.answer({ epoch: "f", offset: 10 });
    assert.deepEqual([application.shown, application.asked.length, page.lost], [["state 10", 11], 2, []]);
  });

  test("is fetched anew when publications are skipped while connected", async () => {
    const { peer, application, lost } = await open();
    await application.last.answer({ epoch: "e", offset: 3 });
    await publish(peer, 7);
    await application.last.answer({ epoch: "e", offset: 7 });
    await publish(peer, 8);
    assert.deepEqual([application.shown, application.asked.length, lost], [["state 7", 8], 2, []]);
  });

  test("an answer under way when the link dies counts where the stream resumes", async () => {
    const page = await open();
    await publish(page.peer, 4);
    const [peer] = await back(page, { recovered: true, offset: 4, publications: [{ offset: 5, data: 5 }] });
    await publish(peer, 6);
    assert.equal(page.application.asked.length, 1);
    await page.application.last.answer({ epoch: "e", offset: 5 });
    assert.deepEqual(page.application.shown, ["state 5", 6]);
  });

  test("a failure is told and tried again, without a change lost meanwhile", async () => {
    const { peer, platform, application, errors } = await open();
    await publish(peer, 4);
    await application.last.fail(new Error("503"));
    await publish(peer, 5);
    await platform.pass(1_000);
    await publish(peer, 6);
    await application.last.answer({ epoch: "e", offset: 5 });
    assert.deepEqual(application.shown, ["state 5", 6]);
    assert.deepEqual(errors.map(({ code, message, temporary }) => [code, message, temporary]), [
      [11, "Could not get the state of orders: Error: 503", true],
    ]);
  });

  for (const [what, at] of [
    ["from before it was asked for, as out of a cache", { epoch: "e", offset: 2 }],
    ["of another life of the stream", { epoch: "d", offset: 9 }],
    ["that is none", undefined],
    ["without an offset", { epoch: "e" }],
  ] as const) {
    test(`an answer with a position ${what} is not taken, and asked for again`, async () => {
      const { peer, platform, application, errors } = await open();
      await application.last.answer(at);
      await publish(peer, 4);
      await platform.pass(1_000);
      await application.last.answer({ epoch: "e", offset: 4 });
      assert.deepEqual([application.shown, errors.map(({ code }) => code)], [["state 4"], [11]]);
    });
  }

  test("one that does not come in thirty seconds is given up and asked for again", async () => {
    const { platform, application } = await open();
    await platform.pass(31_000);
    assert.deepEqual(application.asked.map(({ signal }) => signal.aborted), [true, false]);
  });

  test("no more than 10,000 changes wait for it", async () => {
    const { peer, platform, application, errors } = await open();
    await publish(peer, ...Array.from({ length: 10_001 }, (_, n) => n + 4));
    assert.deepEqual([errors.length, application.last.signal.aborted], [1, true]);
    await platform.pass(1_000);
    await application.last.answer({ epoch: "e", offset: 10_004 });
    assert.deepEqual(application.shown, ["state 10004"]);
  });

  test("one who lets go is not called, and asks anew when back", async () => {
    const { peer, application, subscription } = await open();
    subscription.unsubscribe();
    const { last } = application;
    await last.answer({ epoch: "e", offset: 3 });
    assert.deepEqual([application.asked.length, last.signal.aborted], [1, true]);
    subscription.subscribe();
    await settle();
    await answer(peer, { recovered: true, offset: 3 });
    await application.last.answer({ epoch: "e", offset: 3 });
    assert.deepEqual([application.asked.length, application.shown], [2, ["state 3"]]);
  });

  test("one who let go and comes back to what others hold asks anew if they went on", async () => {
    const { flow, peer, application, subscription } = await open();
    await application.last.answer({ epoch: "e", offset: 3 });
    flow.subscribe("orders");
    subscription.unsubscribe();
    subscription.subscribe();
    await settle();
    assert.equal(application.asked.length, 1);
    subscription.unsubscribe();
    await publish(peer, 4);
    subscription.subscribe();
    await settle();
    await application.last.answer({ epoch: "e", offset: 4 });
    await publish(peer, 5);
    assert.deepEqual([application.asked.length, application.shown], [2, ["state 4", 5]]);
  });

  test("one who comes to a stream that runs gets its own, and disturbs nobody", async () => {
    const { flow, peer, application, lost } = await open();
    await application.last.answer({ epoch: "e", offset: 3 });
    const plain: unknown[] = [];
    flow.subscribe("orders", (data) => plain.push(data));
    await publish(peer, 4);
    const late = new Application();
    flow.subscribe("orders", late.options);
    await settle();
    await publish(peer, 5, 6);
    await late.last.answer({ epoch: "e", offset: 5 });
    assert.deepEqual([application.shown, plain, late.shown], [["state 3", 4, 5, 6], [4, 5, 6], ["state 5", 6]]);
    assert.deepEqual([application.asked.length, lost, peer.commands()], [1, [], []]);
  });

  test("whoever shares the channel without a state of their own is told of what is lost", async () => {
    const page = await open();
    await page.application.last.answer({ epoch: "e", offset: 3 });
    const told: boolean[] = [];
    page.flow.subscribe("orders", { onRecovery: (recovered) => told.push(recovered) });
    await back(page, { recovered: false, epoch: "f", offset: 9 });
    assert.deepEqual([told, page.lost], [[false], ["orders"]]);
  });

  test("a channel that the server gave by itself has it too", async () => {
    const { flow, peer } = await connected({}, { subs: { orders: { recoverable: true, epoch: "e", offset: 3 } } });
    const application = new Application();
    flow.subscribe("orders", application.options);
    await settle();
    await publish(peer, 4, 5);
    await application.last.answer({ epoch: "e", offset: 4 });
    assert.deepEqual(application.shown, ["state 4", 5]);
  });

  test("a subscription that is refused asks for none", async () => {
    const { flow, peer } = await connected({ onError() {} });
    const application = new Application();
    flow.subscribe("orders", application.options);
    await settle();
    await peer.say({ id: peer.commands()[0]?.id, error: { code: 103, message: "permission denied" } });
    assert.deepEqual(application.asked, []);
  });

  test("what is no function is refused at once", async () => {
    const { flow } = await connected();
    assert.throws(() => flow.subscribe("orders", { getState: "/orders" as never }), /getState must be a function, not string/);
  });
});
