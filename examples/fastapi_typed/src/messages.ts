// Made by `messageflow types reports.messages reports.app`: change the classes in Python, and make it anew.

export interface ReportReady {
  id: number;
  title: string;
  words: number;
}

export interface ReportFailed {
  title: string;
  reason: string;
}

export interface ReportsAsked {
  contains?: string;
}

/** What may be pushed: payloads by type. */
export interface Pushes {
  "report/ready": ReportReady;
  "report/failed": ReportFailed;
}

/** Every push as an action, for `onMessage` and for reducers. */
export type Push =
  | { type: "report/ready"; payload: ReportReady }
  | { type: "report/failed"; payload: ReportFailed };

/** What the application is told: data by name. */
export interface Emits {}

/** What the application answers: data and result by name. */
export interface Calls {
  "reports/asked": { data: ReportsAsked; result: ReportReady[] };
}
