// Made by `messageflow types spoken`: change the classes in Python, and make it anew.

/**
 * An order was paid.
 *
 * In whole * / or in part.
 */
export interface OrderPaid {
  orderId: number;
  items: Item[];
  at: string | null;
  where: [number, number];
  words: { [key: string]: (number | string)[] };
  level: "a" | "b";
  more?: number;
  receipt: string | null;
  bag: Bag | null;
  anything: unknown;
  "any-object": unknown;
}

/** An item of an order. */
export interface Item {
  price: number;
  /** how many */
  count: number;
  color: Color;
}

export type Color = "blue" | "red";

export interface Bag {
  items: Item[];
}

export interface ReportLeft {
  id: number;
  why?: string;
}

/** Which has a name that the document needs. */
export interface Pushes_ {}

export interface CityAdded {
  name: string;
  tags: string[];
}

export interface MapDrawn {
  areas: Area[];
}

export interface LineSaid {
  text: string;
}

export interface Area {
  /** in km² */
  size: number;
  inner: Area | null;
}

export interface CountryFound {
  name: string;
  areas: Area[];
}

export interface CitySubmitted {
  name: string;
  bag?: BagInput | null;
  items?: ItemInput[];
}

export interface BagInput {
  items: ItemInput[];
}

/** An item of an order. */
export interface ItemInput {
  price: number;
  /** how many */
  count?: number;
  color?: Color;
}

export interface Search {
  text?: string;
}

/** What may be pushed: payloads by type. */
export interface Pushes {
  "order/paid": OrderPaid;
  "report/left": ReportLeft;
  pushes: Pushes_;
  "city/added": CityAdded;
  "country-found": CountryFound;
  "map/drawn": MapDrawn;
  "line/said": LineSaid;
}

/** Every push as an action, for `onMessage` and for reducers. */
export type Push =
  | { type: "order/paid"; payload: OrderPaid }
  | { type: "report/left"; payload: ReportLeft }
  | { type: "pushes"; payload: Pushes_ }
  | { type: "city/added"; payload: CityAdded }
  | { type: "country-found"; payload: CountryFound }
  | { type: "map/drawn"; payload: MapDrawn }
  | { type: "line/said"; payload: LineSaid };

/** What the application is told: data by name. */
export interface Emits {
  "city/submitted": CitySubmitted;
  "line/said": LineSaid;
  plain: unknown;
}

/** What the application answers: data and result by name. */
export interface Calls {
  search: { data: Search; result: Item[] | null };
  count: { data: unknown; result: number };
  show: { data: unknown; result: unknown };
}
