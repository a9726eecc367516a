import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Recovery } from "../src/context.js";
import { JWT, type Sent, settle, start } from "./platform.js";

const SINCE = { "#alice": { epoch: "e", offset: 4, tag: "t4" }, "*": { epoch: "f", offset: 0, tag: "" } };

function resumed([first]: Sent[]): unknown {
  return (first?.connect as { subs?: unknown } | undefined)?.subs;
}

describe("a page that was told where its streams stand", () => {
  test("asks for what came since, and gets it once, in order, marked as recovered", async () => {
    const seen: unknown[] = [];
    const told: Recovery[] = [];
    const { platform } = start({
      token: JWT,
      since: SINCE,
      onMessage: ({ payload }, { recovered, offset }) => seen.push([payload, recovered, offset]),
      onRecovery: (recovery) => told.push(recovery),
    });
    await settle();
    const commands = await platform.peer.open();
    assert.deepEqual(resumed(commands), {
      "#alice": { recover: true, epoch: "e", offset: 4, tag: "t4" },
      "*": { recover: true, epoch: "f", offset: 0, tag: "" },
    });
    const publications = [4, 5, 6].map((offset) => ({ offset, tag: `t${offset}`, data: { type: "n", payload: offset } }));
    await platform.peer.accept({
      subs: {
        "#alice": { recoverable: true, recovered: true, epoch: "e", offset: 6, tag: "t6", publications },
        "*": { recoverable: true, recovered: true, epoch: "f", offset: 0 },
      },
    });
    assert.deepEqual(seen, [
      [5, true, 5],
      [6, true, 6],
    ]);
    assert.deepEqual(told, [
      { channel: "#alice", recovered: true },
      { channel: "*", recovered: true },
    ]);
  });

  test("is told when what came since is gone", async () => {
    const told: Recovery[] = [];
    const { platform } = start({ token: JWT, since: SINCE, onRecovery: (recovery) => told.push(recovery) });
    await settle();
    await platform.peer.accept({ subs: { "#alice": { recoverable: true, epoch: "new", offset: 1 } } });
    assert.deepEqual(told, [{ channel: "#alice", recovered: false }]);
  });

  test("resumes at its own position afterwards, not at that of the page", async () => {
    const { flow, platform } = start({ token: JWT, since: SINCE });
    await settle();
    await platform.peer.accept({ subs: { "#alice": { recoverable: true, recovered: true, epoch: "e", offset: 4 } } });
    await platform.peer.say({ push: { channel: "#alice", pub: { offset: 5, tag: "t5", data: { type: "n" } } } });
    await platform.peer.drop();
    await platform.pass(flow.detail.retryIn ?? 0);
    const commands = await platform.peer.open();
    assert.deepEqual(resumed(commands), {
      "#alice": { recover: true, epoch: "e", offset: 5, tag: "t5" },
    });
  });

  test("a channel the page subscribes to itself begins there too", async () => {
    const { platform } = start({ since: { lobby: { epoch: "l", offset: 2 } }, channels: { lobby: {} } });
    await settle();
    const before = await platform.peer.accept({});
    assert.deepEqual(
      [...before, ...platform.peer.commands()].map(({ subscribe }) => subscribe).filter((each) => each),
      [{ channel: "lobby", recoverable: true, recover: true, epoch: "l", offset: 2 }],
    );
  });

  test("an application that could not ask gives null, and the page begins at the top", async () => {
    for (const since of [null, undefined, {}]) {
      const { platform } = start({ token: JWT, since });
      await settle();
      const commands = await platform.peer.open();
      assert.equal(resumed(commands), undefined);
    }
  });
});
