// Adding a camera: what is refused is shown at its field, and then whether its stream gives a picture, or why not.

import { call, camera as cameraPath, get, wordsOf } from "./api.js";
import { confirm, sayProblem, startShell } from "./shell.js";
import { make, word } from "./words.js";

const WATCH_S = 1;
const PATIENCE_S = 30;
const form = document.getElementById("add");
const outcome = document.getElementById("outcome");

const tell = (...parts) => outcome.replaceChildren(make("p", {}, ...parts));

function wanted() {
  const values = {};
  for (const [name, value] of new FormData(form)) {
    if (value.trim() === "") continue;
    const isChoice = name === "rotate" || (name === "model_width" && value !== "auto");
    const isNumber = form.elements[name].type === "number" || isChoice;
    values[name] = isNumber ? Number(value) : value.trim();
  }
  return values;
}

/** Marks the field that the server's words begin with, as in "url: scheme 'ftp' is not known". */
function refuse(error) {
  const words = wordsOf(error);
  outcome.replaceChildren(make("p", { class: "problem", role: "alert" }, words));
  const field = [...form.elements].find((element) => element.name && new RegExp(`(^|[\\s.'"])${element.name}\\b`).test(words));
  field?.setAttribute("aria-invalid", "true");
  field?.focus();
}

async function add(event) {
  event.preventDefault();
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  const values = wanted();
  for (const name of ["id", "url"]) {
    if (!values[name]) {
      refuse(new Error(`${name === "id" ? "A name" : "An address"} is needed: ${name} is empty`));
      form.elements[name].setAttribute("aria-invalid", "true");
      form.elements[name].focus();
      return;
    }
  }
  const button = document.getElementById("submit");
  button.disabled = true;
  tell("Adding…");
  try {
    const added = await call("POST", "/api/v1/cameras", { body: values });
    await watch(added.id);
  } catch (error) {
    refuse(error);
  } finally {
    button.disabled = false;
  }
}

async function watch(id) {
  const link = make("a", { href: `/cameras/${id}` }, id);
  tell("Added ", link, ". Waiting for its picture…");
  for (let waited = 0; waited < PATIENCE_S; waited += WATCH_S) {
    const now = await get(cameraPath(id));
    if (now.state === "up") {
      tell(link, " gives a picture. It learns what is normal there from now on.");
      form.reset();
      return;
    }
    if (now.code) return trouble(id, link, now);
    await new Promise((resolve) => setTimeout(resolve, WATCH_S * 1000));
  }
  tell(link, " has been added, and has not answered yet. It is tried again for ever.");
}

function trouble(id, link, now) {
  const why = make("p", { class: "problem" }, `${word("codes", now.code)}${now.detail ? ` (${now.detail})` : ""}.`);
  const remove = make("button", { class: "button danger", type: "button" }, "Remove it again");
  remove.addEventListener("click", async () => {
    if (!(await confirm({ title: `Remove ${id}?`, text: "Its events stay in the journal.", action: "Remove" }))) return;
    try {
      await call("DELETE", cameraPath(id));
      tell("Removed. Correct what is wrong and add it again.");
    } catch (error) {
      sayProblem(error);
    }
  });
  outcome.replaceChildren(make("p", {}, link, " has been added and gives no picture yet; it is tried again for ever."), why, remove);
}

startShell();
form?.addEventListener("submit", add);
