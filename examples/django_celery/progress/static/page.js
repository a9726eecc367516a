const element = (id) => document.getElementById(id);
const bars = new Map(); // by the number of the job

function show({ id, percent }) {
  let line = bars.get(id);
  if (!line) {
    line = document.createElement("li");
    line.innerHTML = `<b></b> <span></span><progress max="100"></progress>`;
    line.querySelector("b").textContent = `Task ${id}`;
    line.querySelector("progress").setAttribute("aria-label", `Task ${id}`);
    element("jobs").prepend(line);
    bars.set(id, line);
  }
  line.querySelector("progress").value = percent;
  line.querySelector("span").textContent = percent < 100 ? `${percent} %` : "done";
}

JSON.parse(element("known").textContent).forEach(show); // as the database has them
messageflow.connect({
  on: { "job/progress": show },
  onState: (state) => (element("state").textContent = element("state").dataset.state = state),
  onRecovery: ({ recovered }) => recovered || location.reload(),
});

element("start").onsubmit = (event) => {
  event.preventDefault();
  fetch("/jobs", { method: "POST", body: new FormData(event.target) });
};
