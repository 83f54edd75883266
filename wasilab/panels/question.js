// A question of ask mode in a notebook: what the program wants, and a button for each answer.
const SOON = 300; // ms in which clicks are ignored: the user cannot have read the question yet
const TELL = 150; // ms between two messages that the question is shown
const TELLS = 30;

function render({ model, el }) {
  const box = document.createElement("div");
  box.setAttribute("role", "alertdialog");
  box.style.cssText =
    "border: 1px solid var(--jp-warn-color1, #8a5800); border-radius: 6px; padding: 8px 10px; margin: 4px 0;";
  const text = document.createElement("p");
  text.dir = "ltr";
  text.style.cssText = "margin: 0 0 6px; font-weight: 600; overflow-wrap: anywhere;";
  text.textContent = model.get("question"); // never as HTML: it contains text from the guest
  box.setAttribute("aria-label", text.textContent);
  box.append(text);
  const buttons = model.get("answers").map((answer, index) => {
    const button = document.createElement("button");
    button.textContent = answer;
    button.className = "jupyter-button";
    button.style.cssText = "margin-right: 6px; padding: 3px 12px; cursor: pointer;";
    button.disabled = true;
    button.addEventListener("click", () => {
      for (const each of buttons) each.disabled = true;
      model.send({ answer: index, after: performance.now() - begun });
    });
    box.append(button);
    return button;
  });
  el.append(box);
  const begun = performance.now();
  const timer = setTimeout(() => {
    for (const each of buttons) each.disabled = false;
  }, SOON);
  // The first ones may go to the shell that is busy: the front end makes the subshell when it meets the first comm.
  let told = 0;
  const telling = setInterval(() => {
    model.send({ shown: true });
    if (++told === TELLS) clearInterval(telling);
  }, TELL);
  return () => {
    clearTimeout(timer);
    clearInterval(telling);
  };
}

export default { render };
