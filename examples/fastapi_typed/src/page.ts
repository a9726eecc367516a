import type { Calls, Emits, Pushes, ReportReady } from "./messages";

const element = (id: string): HTMLElement => document.getElementById(id)!;
const field = (id: string): HTMLInputElement => element(id) as HTMLInputElement;
const notice = (text: string): void => void (element("notice").textContent = text);

function show(report: ReportReady): void {
  const line = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = `${report.words} words`;
  line.append(report.title, words);
  element("reports").prepend(line);
}

const flow = messageflow.connect<Pushes, Emits, Calls>({
  on: {
    "report/ready": (report) => {
      notice(`“${report.title}” is ready.`);
      void search();
    },
    "report/failed": ({ title, reason }) => notice(`“${title}” was not written: ${reason}.`),
  },
  onState: (state) => {
    element("state").textContent = element("state").dataset.state = state;
    if (state === "connected") void search(); // what a fresh page shows, and one that was away
  },
});

async function search(): Promise<void> {
  const found = await flow.call("reports/asked", { contains: field("search").value });
  element("reports").replaceChildren();
  found.forEach(show);
}

field("search").oninput = () => void search();
element("order").onsubmit = async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ title: field("title").value });
  field("title").value = "";
  notice("Ordered.");
  await fetch("/reports", { method: "POST", headers: { "Content-Type": "application/json" }, body });
};
