/** Socket.IO: whoever connects is in one room, and gets what is emitted to it. */

import { Server } from "socket.io";

import { EVENT, GROUP, makeServer } from "./publishing.mjs";

const { server, start } = makeServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

io.on("connection", (socket) => socket.join(GROUP));

start((text) => io.to(GROUP).emit(EVENT, text));
