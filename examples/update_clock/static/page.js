const element = (id) => document.getElementById(id);
const cells = document.querySelectorAll("dd");
let last; // when the data was measured, a Date

function show({ at, load }) {
  last = new Date(at * 1000);
  element("when").textContent = `since the update of ${last.toLocaleTimeString()}`; // the clock of who looks
  load.forEach((value, number) => (cells[number].textContent = value.toFixed(2)));
  tick();
}

function tick() {
  if (!last) return;
  const seconds = Math.max(0, Math.floor((Date.now() - last) / 1000));
  element("ago").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

const latest = JSON.parse(element("latest").textContent);
if (latest.at) show(latest);
setInterval(tick, 250);

messageflow.connect({
  on: { "/update": show }, // the data is in the message: nothing is fetched
  onState: (state) => {
    document.body.dataset.state = state;
    element("state").textContent = { connected: "live", connecting: "the server is away" }[state] ?? state;
  },
});
element("now").onclick = () => fetch("/update", { method: "POST" });
