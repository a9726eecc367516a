import { configureStore, createSlice } from "@reduxjs/toolkit";

// What Python pushes are the actions of these slices: toggle/set, cards/changed, notifications/shown.
const toggle = createSlice({
  name: "toggle",
  initialState: false,
  reducers: { set: (_, { payload }) => payload },
});

const cards = createSlice({
  name: "cards",
  initialState: {},
  reducers: { changed: (state, { payload }) => void (state[payload.id] = payload) },
});

const notifications = createSlice({
  name: "notifications",
  initialState: [],
  reducers: {
    shown: (state, { payload }) => void state.push(payload),
    dismissed: (state, { payload }) => void state.splice(payload, 1),
  },
});

const connection = createSlice({
  name: "connection",
  initialState: "connecting",
  reducers: { changed: (_, { payload }) => payload },
});

const log = (state = [], action) => (action.type.startsWith("@@") ? state : [action, ...state].slice(0, 8));

export const { dismissed } = notifications.actions;
export const connectionChanged = connection.actions.changed;
export const makeStore = (preloadedState) =>
  configureStore({
    reducer: {
      toggle: toggle.reducer,
      cards: cards.reducer,
      notifications: notifications.reducer,
      connection: connection.reducer,
      log,
    },
    preloadedState,
  });
