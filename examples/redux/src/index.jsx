import { createRoot } from "react-dom/client";
import { Provider, useDispatch, useSelector } from "react-redux";
import { connectionChanged, dismissed, makeStore } from "./store.js";

const store = makeStore(JSON.parse(document.getElementById("state").textContent));

messageflow.connect({
  onMessage: store.dispatch, // a push is an action: {type, payload}
  onState: (state) => store.dispatch(connectionChanged(state)),
  onRecovery: ({ recovered }) => recovered || location.reload(),
});

const post = (url, body) =>
  fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

function Toggle() {
  const on = useSelector((state) => state.toggle);
  return (
    <section>
      <h2>Toggle</h2>
      <p>One for everybody: the click goes to Python, and Python tells every page.</p>
      <button id="toggle" role="switch" aria-checked={on} onClick={() => post("/toggle")}>
        {on ? "On" : "Off"}
      </button>
    </section>
  );
}

function Cards() {
  const cards = useSelector((state) => Object.values(state.cards).reverse());
  const submit = (event) => {
    event.preventDefault();
    post("/cards", event.target.number.value); // and forget: the server will tell
    event.target.reset();
  };
  return (
    <section>
      <h2>Credit card</h2>
      <p>Submit and forget. The bank takes its time; you are told when it is done. 4242 4242 4242 4242 is a good one.</p>
      <form id="card" onSubmit={submit}>
        <input name="number" inputMode="numeric" autoComplete="off" placeholder="Card number" aria-label="Card number" required />
        <button>Submit</button>
      </form>
      <ul id="cards">
        {cards.map(({ id, last, state }) => (
          <li key={id} data-state={state}>
            •••• {last} <b>{state}</b>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Notifications() {
  const dispatch = useDispatch();
  const shown = useSelector((state) => state.notifications);
  return (
    <ul id="notifications" role="status">
      {shown.map(({ text, good }, index) => (
        <li key={index} data-good={good}>
          {text} <button aria-label="Dismiss" onClick={() => dispatch(dismissed(index))}>×</button>
        </li>
      ))}
    </ul>
  );
}

function Log() {
  const actions = useSelector((state) => state.log);
  return (
    <section>
      <h2>Actions</h2>
      <ol id="log">
        {actions.map(({ type, payload }, index) => (
          <li key={index}>
            <b>{type}</b> <code>{JSON.stringify(payload)}</code>
          </li>
        ))}
      </ol>
    </section>
  );
}

function App() {
  const connection = useSelector((state) => state.connection);
  return (
    <>
      <header>
        <h1>Redux, told by Python</h1>
        <span id="connection" data-state={connection}>{connection}</span>
      </header>
      <main>
        <Toggle />
        <Cards />
        <Log />
      </main>
      <Notifications />
    </>
  );
}

createRoot(document.getElementById("root")).render(<Provider store={store}><App /></Provider>);
