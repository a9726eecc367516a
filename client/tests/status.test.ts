import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "../src/status-indicator.js";
import { FakeElement } from "./page.js";
import { JWT, settle, start } from "./platform.js";

test("elements follow the flow until told not to", async () => {
  const { flow, platform } = start({ token: JWT });
  const [connected, authenticated, dot] = [new FakeElement(), new FakeElement(), new FakeElement()];
  const elements = { connected, authenticated, dot } as unknown as Record<"connected" | "authenticated" | "dot", Element>;
  const off = status(flow, elements);
  const shown = (): unknown[] => [
    connected.textContent,
    authenticated.textContent,
    dot.style.backgroundColor,
    dot.attributes.get("data-state"),
    dot.attributes.get("title"),
  ];
  assert.deepEqual(shown(), ["Offline", "No", "red", "disconnected", "No connection: live updates are off."]);
  await settle();
  await platform.peer.accept();
  assert.deepEqual(shown(), ["Online", "Yes", "green", "authenticated", "WebSocket is connected & authenticated."]);
  await platform.peer.drop(3500, "invalid token");
  assert.deepEqual(shown().slice(3), ["disconnected", "No connection: live updates are off (invalid token)."]);
  off();
  flow.connect();
  await settle();
  await platform.peer.accept();
  assert.equal(connected.textContent, "Offline");
});

test("a connection without a user is orange; colours can be chosen; elements may be missing", async () => {
  const { flow, platform } = start();
  const dot = new FakeElement();
  status(flow, { dot: dot as unknown as Element, colors: { anonymous: "#fa0" }, connected: null });
  await settle();
  await platform.peer.accept();
  assert.equal(dot.attributes.get("data-state"), "anonymous");
  assert.equal(dot.style.backgroundColor, "#fa0");
});
