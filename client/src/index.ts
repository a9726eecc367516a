/** The public face of the package. */

export type { Action, ActionHandler, ActionOf, PayloadHandler } from "./actions.js";
export { MessageflowError } from "./codes.js";
export { connect, createSocket, type LegacyAction, setBase, setDefaults } from "./connect.js";
export type { Context, Recovery } from "./context.js";
export type { Off } from "./emitter.js";
export type { Flow } from "./flow.js";
export type { Options } from "./options.js";
export type { Position, Since } from "./position.js";
export type { ClientInfo } from "./protocol.js";
export type { Call, CallOptions, Count, EmitOptions, History, HistoryOptions, PublishOptions } from "./requests.js";
export type { GetState } from "./snapshot.js";
export type { Detail, State, StateDetail, SubscriptionState } from "./state.js";
export { status, type StatusElement, type StatusElements, type StatusState } from "./status-indicator.js";
export type { InfoHandler, PublicationHandler, Subscription, SubscriptionOptions } from "./subscription.js";
export type { TokenOptions } from "./token.js";
export { VERSION as version } from "./version.js";
export type { SocketClass } from "./platform.js";
