// Signing in: the token is exchanged for a cookie that scripts cannot read.

import { patience } from "./api.js";

const form = document.getElementById("login");
const refused = document.getElementById("refused");
const button = document.getElementById("sign-in");
const field = document.getElementById("token");

/** Only a path of this site: nobody is led elsewhere by a link to the login page. */
function next() {
  const wanted = new URL(form.dataset.next || "/", location.origin);
  return wanted.origin === location.origin ? wanted.pathname + wanted.search : "/";
}

function refuse(words) {
  refused.textContent = words;
  refused.className = "outcome problem";
  field.setAttribute("aria-invalid", "true");
  field.select();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  refused.textContent = "";
  field.removeAttribute("aria-invalid");
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ token: field.value.trim() }),
      signal: patience("POST"),
    });
    if (response.ok) {
      location.replace(next());
      return;
    }
    const problem = await response.json().catch(() => ({}));
    refuse(problem.detail || problem.title || `The engine answered ${response.status}`);
  } catch {
    refuse("The engine cannot be reached. Try again in a moment.");
  } finally {
    button.disabled = false;
  }
});
