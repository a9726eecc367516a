/** The few things of a page that the client touches, for tests without a browser. */

export class FakeElement {
  textContent = "";
  readonly style = { backgroundColor: "" };
  readonly attributes = new Map<string, string>();

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
}

export class FakeDocument extends EventTarget {
  visibilityState = "visible";
  currentScript: { src: string; dataset?: Record<string, string> } | null = null;
  readonly elements = new Map<string, FakeElement>();

  querySelector(selector: string): FakeElement | null {
    return this.elements.get(selector) ?? null;
  }

  /** Give the page an element. */
  add(selector: string): FakeElement {
    const element = new FakeElement();
    this.elements.set(selector, element);
    return element;
  }
}
