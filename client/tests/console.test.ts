/**
 * What the console says to whoever writes a page that does not connect.
 */

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, mock, test } from "node:test";
import type { Options } from "../src/options.js";
import { status } from "../src/status-indicator.js";
import { answering, JWT, settle, start, TestPlatform } from "./platform.js";

const said: string[] = [];

beforeEach(() => {
  said.length = 0;
  mock.method(console, "error", (...words: unknown[]) => said.push(words.map(String).join(" ")));
});
afterEach(() => mock.restoreAll());

/** Connect, and be told by the server that there is no point in coming back. */
async function refused(options: Options, code: number, reason: string): Promise<void> {
  const { platform } = start(options);
  await settle();
  const [connect] = await platform.peer.open();
  if (code >= 1000) await platform.peer.drop(code, reason);
  else await platform.peer.say({ id: connect?.id, error: { code, message: reason } });
}

describe("a final disconnect", () => {
  const cases: [string, Options, number, string, string][] = [
    ["a bad token", { token: JWT }, 3500, "invalid token", "not connected (3500), and not trying again: invalid token; the log of the gateway says why"],
    ["no token", {}, 3500, "invalid token", "not connected (3500), and not trying again: invalid token; give tokenUrl, getToken or token"],
    ["forbidden", { token: JWT }, 3507, "permission denied", "not connected (3507), and not trying again: permission denied; the log of the gateway says why"],
    ["an error reply", { token: JWT }, 103, "permission denied", "not connected (103), and not trying again: permission denied; the log of the gateway says why"],
    ["disconnected by the application", {}, 3503, "banned", "not connected (3503), and not trying again: banned; the log of the gateway says why"],
  ];
  for (const [name, options, code, reason, sentence] of cases) {
    test(`is one sentence: ${name}`, async () => {
      await refused(options, code, reason);
      assert.deepEqual(said, [`messageflow: ${sentence}`]);
    });
  }

  test("of a page where nobody is logged in says that", async () => {
    start({ tokenUrl: "/token" }, answering([401, ""]));
    await settle();
    assert.deepEqual(said, ["messageflow: not connected (5), and not trying again: /token answered 401: nobody is logged in."]);
  });

  test("is the application's to tell where it took over onError or onState", async () => {
    const errors: string[] = [];
    await refused({ token: JWT, onError: ({ code, message, temporary }) => errors.push(`${code} ${temporary} ${message}`) }, 3500, "invalid token");
    assert.deepEqual(errors, ["3500 false not connected (3500), and not trying again: invalid token; the log of the gateway says why"]);
    await refused({ token: JWT, onState() {} }, 3500, "invalid token");
    const { flow, platform } = start({ token: JWT });
    const told = assert.rejects(flow.ready(), /invalid token/);
    await settle();
    await platform.peer.open();
    await platform.peer.drop(3500, "invalid token");
    await told;
    assert.deepEqual(said, []);
  });

  test("is told once where both listen: as a state", async () => {
    const told: string[] = [];
    await refused({ token: JWT, onError: ({ message }) => told.push(message), onState: (state) => told.push(state) }, 3500, "invalid token");
    assert.deepEqual(told, ["connecting", "disconnected"]);
    assert.deepEqual(said, []);
  });

  test("is told to onError where a dot alone shows the state", async () => {
    const errors: string[] = [];
    const { flow, platform } = start({ token: JWT, onError: ({ message }) => errors.push(message) });
    status(flow, {});
    await settle();
    await platform.peer.open();
    await platform.peer.drop(3500, "invalid token");
    assert.deepEqual([errors.length, said.length], [1, 0]);
  });

  test("is told also where a dot alone shows the state", async () => {
    const { flow, platform } = start({ token: JWT });
    status(flow, {});
    await settle();
    await platform.peer.open();
    await platform.peer.drop(3500, "invalid token");
    assert.equal(said.length, 1);
  });

  test("is nothing to tell of when the page itself closes, or when it is not final", async () => {
    const { flow, platform } = start({ token: JWT });
    await settle();
    await platform.peer.accept();
    await platform.peer.drop(3001, "shutdown");
    flow.close();
    assert.deepEqual(said, []);
  });
});

describe("what is tried again and again", () => {
  const page = "messageflow: MessageflowError: Could not get a token: Error: /token answered a page, not a token: is somebody logged in? If nobody is, answer 401";

  test("is told once: a token URL that answers a page", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, "<!doctype html>"]));
    await settle();
    await platform.pass(5000);
    assert.ok(platform.fetched.length > 2);
    assert.deepEqual(said, [page]);
    flow.close();
  });

  test("is told again after it was right for a while", async () => {
    const answers: [number, string][] = [[200, "<html>"], [200, JWT], [200, "<html>"]];
    const { flow, platform } = start({ tokenUrl: "/token" }, answering(...answers));
    await settle();
    await platform.pass(500);
    await platform.peer.accept();
    await platform.peer.drop(3005, "connection expired");
    await platform.pass(5000);
    assert.deepEqual(said, [page, page]);
    flow.close();
  });

  test("is told each time to an application that listens", async () => {
    const errors: string[] = [];
    const { flow, platform } = start({ tokenUrl: "/token", onError: ({ message }) => errors.push(message) }, answering([200, "<html>"]));
    await settle();
    await platform.pass(5000);
    assert.equal(errors.length, platform.fetched.length);
    flow.close();
  });

  test("is told once: a fresh token that is refused as expired", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, JWT]));
    for (let attempt = 0; attempt < 3; attempt++) {
      await settle();
      const [connect] = await platform.peer.open();
      await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
      await platform.pass(10_000);
    }
    assert.equal(said.length, 1);
    assert.match(String(said), /A fresh token was refused as expired: compare the clocks/);
    flow.close();
  });

  test("says nothing of clocks when it is the old token that expired during an absence", async () => {
    const { flow, platform } = start({ tokenUrl: "/token" }, answering([200, JWT]));
    await settle();
    await platform.peer.accept();
    await platform.peer.drop();
    await platform.pass(1000);
    const [connect] = await platform.peer.open();
    await platform.peer.say({ id: connect?.id, error: { code: 109, message: "token expired" } });
    await platform.pass(0);
    await platform.peer.accept();
    assert.deepEqual([flow.state, said], ["connected", []]);
    flow.close();
  });
});

describe("of a subscription", () => {
  test("a token URL that answers a page, and a fresh token refused as expired, are told", async () => {
    const platform: TestPlatform = answering([200, "<html>"], [200, JWT]);
    const { flow } = start({ token: JWT }, platform);
    await settle();
    await platform.peer.accept();
    flow.subscribe("news", { tokenUrl: "/news-token" });
    await settle();
    assert.match(String(said), /\/news-token answered a page, not a token/);
    await platform.pass(1000);
    const [subscribe] = platform.peer.commands().filter((command) => "subscribe" in command);
    await platform.peer.say({ id: subscribe?.id, error: { code: 109, message: "token expired" } });
    assert.match(String(said.slice(1)), /compare the clocks/);
    flow.close();
  });
});
