import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Flow } from "../src/flow.js";
import { settle, start, TestPlatform } from "./platform.js";

const ACCEPTED = `${JSON.stringify({ id: 1, connect: { client: "c1", ping: 15, pong: true, subs: { "#alice": {} }, session: "s1", node: "n1" } })}\n`;

/** A page whose WebSockets come to nothing. */
async function barred(): Promise<{ flow: Flow; platform: TestPlatform }> {
  const platform = new TestPlatform();
  platform.canStream = true;
  const { flow } = start({}, platform);
  await settle();
  return { flow, platform };
}

/** Let the WebSockets of so many attempts end before the server has said a word. */
async function bar(flow: Flow, platform: TestPlatform, attempts: number): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    await platform.peer.drop();
    await platform.pass(flow.detail.retryIn ?? 0);
  }
}

async function overHttp(): Promise<{ flow: Flow; platform: TestPlatform }> {
  const { flow, platform } = await barred();
  await bar(flow, platform, 2);
  await platform.posts[0]!.answer();
  await platform.posts[0]!.write(ACCEPTED);
  assert.equal(flow.state, "connected");
  return { flow, platform };
}

describe("falls back", () => {
  test("to HTTP after two WebSockets that came to nothing, beside the WebSocket's address", async () => {
    const { platform } = await overHttp();
    const [post] = platform.posts;
    assert.match(post!.url, /^https?:.*\/connection\/http_stream$/);
    assert.equal(Object.keys(JSON.parse(post!.text) as object).join(), "id,connect");
  });

  test("and hears, however the lines are cut", async () => {
    const { flow, platform } = await overHttp();
    const heard: unknown[] = [];
    flow.on("a", (payload) => heard.push(payload));
    const line = JSON.stringify({ push: { channel: "#alice", pub: { data: { type: "a", payload: "é" } } } });
    await platform.posts[0]!.write(`${line}\n${line.slice(0, 20)}`);
    await platform.posts[0]!.write(`${line.slice(20)}\n`);
    assert.deepEqual(heard, ["é", "é"]);
  });

  test("and sends commands one request after the other, to its session", async () => {
    const { flow, platform } = await overHttp();
    void flow.rpc("x").catch(() => {});
    await settle();
    void flow.rpc("y").catch(() => {});
    void flow.rpc("z").catch(() => {});
    await settle();
    assert.equal(platform.posts.length, 2, "the second waits for the first");
    const { session, node, data } = JSON.parse(platform.posts[1]!.text) as Record<string, string>;
    assert.deepEqual([session, node, JSON.parse(data!).rpc.method], ["s1", "n1", "x"]);
    assert.match(platform.posts[1]!.url, /\/connection\/emulation$/);
    await platform.posts[1]!.answer(204);
    assert.equal((JSON.parse(platform.posts[2]!.text) as { data: string }).data.split("\n").length, 2);
    flow.close();
  });

  test("and tries again where the stream ends, is refused, or its session is not found", async () => {
    for (const end of ["end", "refuse", "lose"] as const) {
      const { flow, platform } = end === "refuse" ? await barred() : await overHttp();
      if (end === "refuse") {
        await bar(flow, platform, 2);
        await platform.posts[0]!.answer(403);
      } else if (end === "end") await platform.posts[0]!.end();
      else {
        void flow.rpc("x").catch(() => {});
        await settle();
        await platform.posts[1]!.answer(404);
      }
      await settle();
      assert.equal(flow.state, "connecting", end);
      assert.ok(platform.posts[0]!.signal.aborted, end);
      flow.close();
    }
  });

  test("not while a WebSocket that got through before is merely away", async () => {
    const { flow, platform } = await barred();
    await platform.peer.accept();
    await bar(flow, platform, 6);
    assert.equal(platform.posts.length, 0);
    flow.close();
  });

  test("and looks for a WebSocket again, and takes it", async () => {
    const { flow, platform } = await overHttp();
    const before = platform.peers.length;
    await platform.posts[0]!.write("{}\n");
    for (let ms = 0; ms < 30_000; ms += 10_000) {
      await platform.pass(10_000);
      await platform.posts[0]!.write("{}\n"); // a ping, so that the link is alive
    }
    assert.equal(platform.peers.length, before + 1);
    await platform.peer.open();
    assert.ok(platform.peer.closed, "it only looked");
    await platform.pass(flow.detail.retryIn ?? 0);
    await platform.peer.accept();
    assert.equal(flow.state, "connected");
    assert.ok(platform.posts[0]!.signal.aborted);
    flow.close();
    assert.equal(platform.timers, 0);
  });

  test("not where a page has said another address, or nothing can be read while it comes", async () => {
    for (const [url, canStream] of [["ws://push.example/own", true], ["http://push.example", false]] as const) {
      const platform = new TestPlatform();
      platform.canStream = canStream;
      const { flow } = start({ url }, platform);
      await settle();
      await bar(flow, platform, 5);
      assert.equal(platform.posts.length, 0);
      flow.close();
    }
  });
});
