/** ws: whoever connects gets every text, in a loop over all clients, as its documentation broadcasts. */

import { WebSocket, WebSocketServer } from "ws";

import { makeServer } from "./publishing.mjs";

const { server, start } = makeServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on("connection", (socket) => socket.on("error", () => socket.terminate()));

start((text) => {
  for (const client of sockets.clients) if (client.readyState === WebSocket.OPEN) client.send(text);
});
