import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageflowError } from "../src/codes.js";
import { connected, type Sent, settle, start } from "./platform.js";

type Send = { data: { type: string; payload?: unknown }; key: string; age?: number };

const sends = (commands: Sent[]): Send[] => commands.filter(({ send }) => send).map(({ send }) => send as Send);
const names = (commands: Sent[]): string[] => sends(commands).map(({ data }) => data.type);

/** Takes what a promise rejects with. */
const failure = (promise: Promise<unknown>): Promise<MessageflowError> =>
  promise.then(() => assert.fail("it does not reject"), (error: MessageflowError) => error);

describe("emit", () => {
  test("travels as an action with a key, and resolves when it was handled", async () => {
    const { flow, peer } = await connected();
    const told = flow.emit("city", { name: "Ulm" });
    const bare = flow.emit("ping");
    await settle();
    const commands = peer.commands();
    assert.deepEqual(sends(commands), [
      { data: { type: "city", payload: { name: "Ulm" } }, key: "ii-1" },
      { data: { type: "ping" }, key: "ii-2" },
    ]);
    let handled = false;
    void told.then(() => (handled = true));
    await settle();
    assert.equal(handled, false);
    await peer.say(...commands.map(({ id }) => ({ id, send: {} })));
    assert.deepEqual(await Promise.all([told, bare]), [undefined, undefined]);
  });

  test("rejects with what the application refuses with, or the gateway", async () => {
    const { flow, peer } = await connected();
    const refused = failure(flow.emit("city", 1));
    const tooMany = failure(flow.emit("city", 2));
    await settle();
    const [first, second] = peer.commands();
    await peer.say(
      { id: first?.id, error: { code: 1042, message: "not today" } },
      { id: second?.id, error: { code: 111, message: "too many requests", temporary: true } },
    );
    const [refusal, flood] = await Promise.all([refused, tooMany]);
    assert.deepEqual([refusal.code, refusal.message, refusal.temporary, refusal.unknown], [1042, "not today", false, false]);
    assert.deepEqual([flood.code, flood.temporary, flood.unknown], [111, true, false]);
  });

  test("waits while there is no connection, and is delivered in the order of the calls", async () => {
    const { flow, platform, peer } = await connected();
    await peer.drop();
    const told = ["one", "two", "three"].map((name) => flow.emit(name));
    await platform.pass(250);
    const commands = await platform.peer.accept();
    const sent = platform.peer.commands();
    assert.deepEqual([names(commands), names(sent)], [[], ["one", "two", "three"]]);
    assert.ok(sends(sent).every(({ age }) => age === undefined), "none was sent before");
    await platform.peer.say(...sent.map(({ id }) => ({ id, send: {} })));
    await Promise.all(told);
  });

  test("is sent again with its key and its age where the link died before the receipt, ahead of newer ones", async () => {
    const { flow, platform, peer } = await connected();
    const told = [flow.emit("one", 1), flow.emit("two")];
    await settle();
    const keys = sends(peer.commands()).map(({ key }) => key);
    await platform.pass(40);
    await peer.drop();
    told.push(flow.emit("three"));
    await platform.pass(250);
    const at = platform.time;
    await platform.peer.accept();
    const sent = platform.peer.commands();
    assert.deepEqual(names(sent), ["one", "two", "three"]);
    assert.deepEqual(sends(sent)[0], { data: { type: "one", payload: 1 }, key: keys[0], age: at - 1_000_000 });
    assert.equal(sends(sent)[1]?.key, keys[1]);
    assert.equal(sends(sent)[2]?.age, undefined);
    await platform.peer.say(...sent.map(({ id }) => ({ id, send: {} })));
    await Promise.all(told);
    assert.equal(platform.peers.length, 2);
  });

  test("grows old also while the machine sleeps", async () => {
    const { flow, platform, peer } = await connected();
    flow.emit("one").catch(() => {});
    await settle();
    platform.slept = 3_600_000;
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    assert.ok((sends(platform.peer.commands())[0]?.age ?? 0) >= 3_600_000);
    flow.close();
  });

  test("is told apart when nobody knows what became of it", async () => {
    const { flow, platform, peer } = await connected();
    const lost = [failure(flow.emit("one")), failure(flow.emit("two")), failure(flow.emit("three"))];
    await settle();
    await peer.drop();
    await platform.pass(250);
    await platform.peer.accept();
    const [one, two, three] = platform.peer.commands();
    await platform.peer.say(
      { id: one?.id, error: { code: 113, message: "outcome unknown" } },
      { id: two?.id, error: { code: 111, message: "too many requests", temporary: true } },
      { id: three?.id, error: { code: 1042, message: "not today" } },
    );
    const errors = await Promise.all(lost);
    assert.deepEqual(errors.map(({ code, unknown, temporary }) => [code, unknown, temporary]), [
      [113, true, false],
      [111, true, false],
      [1042, false, false],
    ]);
    assert.match(errors[0]?.message ?? "", /unknown whether this emit was carried out/);
  });

  test("gives up at its own time, sent or not", async () => {
    const { flow, platform } = start();
    const waiting = failure(flow.emit("one", 1, { timeout: 100 }));
    const patient = flow.emit("two", 2, { timeout: 60_000 });
    await settle();
    await platform.pass(100);
    const never = await waiting;
    assert.deepEqual([never.code, never.message, never.unknown], [1, "No connection within 100 ms.", false]);
    await platform.peer.accept();
    assert.deepEqual(names(platform.peer.commands()), ["two"]);
    const unanswered = failure(flow.emit("three", 3, { timeout: 100 }));
    await platform.pass(100);
    const unknown = await unanswered;
    assert.deepEqual([unknown.code, unknown.unknown], [1, true]);
    flow.close();
    assert.deepEqual([(await failure(patient)).code, platform.timers], [2, 0]);
  });

  test("is not done in the name of another user", async () => {
    const { flow, platform, peer } = await connected();
    const lost = failure(flow.emit("one"));
    await settle();
    assert.equal(names(peer.commands()).length, 1);
    flow.reconnect();
    const { code, unknown } = await lost;
    assert.deepEqual([code, unknown], [2, true]);
    await settle();
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands(), []);
  });

  test("waits with others up to a number and up to a size, and is refused at once beyond", async () => {
    const { flow, platform } = start();
    const many = Array.from({ length: 1000 }, (_, n) => failure(flow.emit("n", n)));
    const beyond = await failure(flow.emit("beyond"));
    assert.deepEqual([beyond.code, beyond.temporary, beyond.unknown], [3, true, false]);
    await settle();
    await platform.peer.accept();
    assert.deepEqual(sends(platform.peer.commands()).map(({ data }) => data.payload), Array.from({ length: 1000 }, (_, n) => n));
    flow.close();
    await Promise.all(many);
    flow.connect();
    const large = Array.from({ length: 11 }, () => failure(flow.emit("large", "x".repeat(100_000))));
    assert.equal((await failure(flow.emit("small"))).code, 3);
    flow.close();
    assert.deepEqual((await Promise.all(large)).map(({ code }) => code), Array(11).fill(4));
    flow.connect();
    const again = failure(flow.emit("small"));
    flow.close();
    assert.equal((await again).code, 4, "what has ended takes no room");
    assert.equal(platform.timers, 0);
  });

  test("takes a key of the page's own", async () => {
    const { flow, peer } = await connected();
    flow.emit("city", 1, { key: "form-7" }).catch(() => {});
    await settle();
    assert.equal(sends(peer.commands())[0]?.key, "form-7");
    for (const key of ["", "k".repeat(129), 5 as never]) {
      await assert.rejects(flow.emit("city", 1, { key }), /key must be a string of 1 to 128 characters/);
    }
    flow.close();
  });

  test("refuses what cannot be told", async () => {
    const { flow, peer } = await connected();
    await assert.rejects(flow.emit("", 1), /name of a handler must be a non-empty string/);
    await assert.rejects(flow.emit("city", () => 1), /No data to send: function/);
    await assert.rejects(flow.emit("city", 10n), { code: 10 });
    await settle();
    assert.deepEqual(peer.commands(), []);
  });
});

describe("call", () => {
  test("gives what the application returns", async () => {
    const { flow, peer } = await connected();
    const found = flow.call<string[]>("search", "ul");
    await settle();
    const [command] = peer.commands();
    assert.deepEqual(command?.["rpc"], { method: "search", data: "ul" });
    await peer.say({ id: command?.id, rpc: { data: ["Ulm"] } });
    assert.deepEqual(await found, ["Ulm"]);
  });

  test("is not repeated: when the link dies, or its time is over, the outcome is unknown", async () => {
    const { flow, platform, peer } = await connected();
    const lost = failure(flow.call("search"));
    await settle();
    await peer.drop();
    assert.deepEqual([(await lost).code, (await lost).unknown], [2, true]);
    await platform.pass(250);
    await platform.peer.accept();
    assert.deepEqual(platform.peer.commands(), []);
    const late = failure(flow.call("search", "x", { timeout: 50 }));
    await settle();
    await platform.pass(50);
    assert.deepEqual([(await late).code, (await late).message.slice(0, 22)], [1, "No reply within 50 ms."]);
    assert.equal((await late).unknown, true);
    await assert.rejects(flow.call(""), /name of a handler/);
    flow.close();
    assert.equal(platform.timers, 0);
  });
});
