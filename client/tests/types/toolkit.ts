/** Pushes into a store of Redux Toolkit, as its own documentation makes one. */

import { configureStore, createSlice, type PayloadAction, type UnknownAction } from "@reduxjs/toolkit";
import { type Action, connect, createSocket, type Flow } from "messageflow";

interface Report {
  id: number;
}

interface Pushes {
  "report/ready": Report;
  "report/gone": null;
}

const reports = createSlice({
  name: "report",
  initialState: [] as Report[],
  reducers: {
    ready: (state, action: PayloadAction<Report>) => {
      state.push(action.payload);
    },
  },
});
const store = configureStore({ reducer: { reports: reports.reducer } });

const flow: Flow = connect({ onMessage: (action) => store.dispatch(action) });
flow.onMessage((action) => store.dispatch(action));
flow.onMessage(store.dispatch);
connect({ onMessage: store.dispatch });

const typed = connect<Pushes>();
typed.onMessage((action) => store.dispatch(action));
typed.onMessage(store.dispatch);
typed.onMessage((action) => {
  if (action.type === "report/ready") store.dispatch(reports.actions.ready(action.payload));
  else store.dispatch(action);
});
typed.on("report/ready", (report) => store.dispatch(reports.actions.ready(report)));
createSocket("/websocket", (message) => store.dispatch(message));
createSocket("/websocket", store.dispatch);

declare const action: Action;
store.dispatch(action);
const unknown: UnknownAction = action;
const sure: Action<"report/ready", Report> = { type: "report/ready", payload: { id: 7 } };
store.dispatch(sure);
store.dispatch(unknown);
