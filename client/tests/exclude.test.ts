import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Recovery } from "../src/context.js";
import { connected, type Sent, settle, start } from "./platform.js";

const former = (commands: Sent[]): unknown => (commands[0]?.connect as { former?: unknown } | undefined)?.former;

describe("what is not for this page", () => {
  test("is known by the connection, and by those before", async () => {
    const { flow, platform } = start();
    assert.equal(flow.client, "");
    await settle();
    assert.equal(former(await platform.peer.accept({ client: "c0" })), undefined);
    assert.equal(flow.client, "c0");
    for (let n = 1; n < 12; n++) {
      await platform.peer.drop();
      assert.equal(flow.client, `c${n - 1}`, "a request under way may still name it");
      await platform.pass(10_000);
      const ids = Array.from({ length: n }, (_, id) => `c${id}`).slice(-8);
      assert.deepEqual(former(await platform.peer.accept({ client: `c${n}` })), ids);
    }
    flow.close();
  });

  test("moves the position on, of the server's channels and of the page's", async () => {
    const seen: unknown[] = [];
    const recoveries: Recovery[] = [];
    const { flow, platform, peer } = await connected(
      { onMessage: ({ payload }) => seen.push(payload), onRecovery: (recovery) => recoveries.push(recovery) },
      { subs: { "#alice": { epoch: "e", offset: 4 } } },
    );
    const subscription = flow.subscribe("news", (data) => seen.push(data));
    await settle();
    const ask = peer.commands().find(({ subscribe }) => subscribe);
    await peer.say(
      { id: ask?.id, subscribe: { epoch: "n", offset: 1 } },
      { push: { channel: "#alice", moved: { offset: 6, tag: "t6", count: 2 } } },
      { push: { channel: "#alice", pub: { data: { type: "t", payload: 7 }, offset: 7, tag: "t7" } } },
      { push: { channel: "news", moved: { offset: 2, tag: "n2" } } },
      { push: { channel: "news", pub: { data: "three", offset: 3, tag: "n3" } } },
      { push: { channel: "news", moved: { offset: 4, tag: "n4" } } },
    );
    assert.deepEqual([seen, recoveries], [[7, "three"], []]);
    await peer.drop();
    await platform.pass(250);
    const [hello, ...more] = await platform.peer.accept();
    assert.deepEqual((hello?.connect as { subs?: unknown }).subs, { "#alice": { recover: true, epoch: "e", offset: 7, tag: "t7" } });
    const again = [...more, ...platform.peer.commands()].find(({ subscribe }) => subscribe);
    const { offset, tag } = again?.subscribe as { offset: number; tag: string };
    assert.deepEqual([offset, tag], [4, "n4"]);
    subscription.unsubscribe();
    flow.close();
  });

  test("hides no gap before it", async () => {
    const recoveries: Recovery[] = [];
    const { peer } = await connected({ onRecovery: (recovery) => recoveries.push(recovery) }, {
      subs: { "*": { epoch: "e", offset: 4 } },
    });
    await peer.say({ push: { channel: "*", moved: { offset: 7, tag: "t7", count: 2 } } });
    assert.deepEqual(recoveries, [{ channel: "*", recovered: false }]);
  });
});
