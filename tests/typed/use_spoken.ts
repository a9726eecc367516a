/** A page that is right, and one that is not, with what `messageflow types` wrote for `spoken.py`. */

import { connect } from "messageflow";
import type { Calls, Emits, Push, Pushes } from "./spoken";

const flow = connect<Pushes, Emits, Calls>({
  on: { "order/paid": ({ orderId, items }) => [orderId.toFixed(), items[0]?.color === "red"], pushes: () => 0 },
});
flow.on("country-found", ({ areas }) => areas[0]?.inner?.size.toFixed());
flow.on("report/left", ({ why }) => why?.length);
flow.onMessage((push: Push) => (push.type === "order/paid" ? push.payload["any-object"] : push.type));
void flow.emit("city/submitted", { name: "Rome", items: [{ price: 7 }] });
void flow.emit("line/said", { text: "hello" }, { key: "k" });
void flow.emit("plain");
export const prices = async (): Promise<number[] | undefined> => (await flow.call("search"))?.map(({ price }) => price);
export const counted: Promise<number> = flow.call("count", { anything: 1 });

// @ts-expect-error what pages tell is not pushed to them
flow.on("city/submitted", () => {});
// @ts-expect-error an item has a price
void flow.emit("city/submitted", { name: "Rome", items: [{ count: 7 }] });
// @ts-expect-error a color is one of two words
flow.on("order/paid", ({ items }) => items[0]?.color === "green");
// @ts-expect-error nothing answers by this name
void flow.call("find", { text: "" });
