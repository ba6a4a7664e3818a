// Sensitivity as false alarms a day, on a logarithmic slider, with what the last hours would have raised.

import { call, camera as cameraPath, get, query, wordsOf } from "./api.js";
import { say, sayProblem } from "./shell.js";
import { perDay, score, span } from "./words.js";

const [LEAST, MOST] = [0.05, 1440];
const HOURS = 24;
const PAUSE_MS = 200;
const by = (id) => document.getElementById(id);

const toSlider = (value) => Math.round((Math.log(Math.min(MOST, Math.max(LEAST, value)) / LEAST) / Math.log(MOST / LEAST)) * 1000);
const fromSlider = (position) => (position >= 1000 ? MOST : Number((LEAST * (MOST / LEAST) ** (position / 1000)).toPrecision(2)));

/** `onTrial(preview or null)`: what a value that is not saved yet would mean. */
export function sensitivity({ id, value, onTrial, threshold }) {
  let kept = value;
  let asked = null;
  let timer = null;
  const [slider, number, words] = [by("budget-slider"), by("budget-number"), by("preview")];

  const show = (wanted) => {
    slider.value = toSlider(wanted);
    slider.setAttribute("aria-valuetext", `${perDay(wanted)} a day`);
  };

  async function look() {
    const wanted = Number(number.value);
    const isChanged = wanted !== kept;
    for (const button of [by("save-budget"), by("undo-budget")]) if (button) button.disabled = !isChanged;
    if (!number.checkValidity() || !(wanted > 0)) {
      words.textContent = `Allowed: more than 0, up to ${MOST} false alarms a day.`;
      return onTrial(null);
    }
    asked?.abort();
    asked = new AbortController();
    try {
      const search = query({ false_alarms_per_day: wanted, hours: HOURS });
      const preview = await get(`${cameraPath(id)}/preview${search}`, { signal: asked.signal });
      words.textContent = tell(preview, wanted, isChanged, threshold());
      onTrial(isChanged ? preview : null);
    } catch (error) {
      if (error.name !== "AbortError") words.textContent = wordsOf(error);
    }
  }

  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  };

  async function save() {
    try {
      const camera = await call("PATCH", cameraPath(id), { body: { false_alarms_per_day: Number(number.value) } });
      kept = camera.false_alarms_per_day;
      number.value = kept;
      show(kept);
      say(`${id} may raise ${perDay(kept)} false alarms a day from now on.`);
      look();
    } catch (error) {
      sayProblem(error, "The sensitivity was not changed");
    }
  }

  slider.addEventListener("input", () => {
    number.value = fromSlider(Number(slider.value));
    show(Number(number.value));
    later();
  });
  number.addEventListener("input", () => {
    if (number.value > 0) show(Number(number.value));
    later();
  });
  number.addEventListener("keydown", (event) => event.key === "Enter" && by("save-budget") && !by("save-budget").disabled && save());
  by("save-budget")?.addEventListener("click", save);
  by("undo-budget")?.addEventListener("click", () => {
    number.value = kept;
    show(kept);
    look();
  });
  show(kept);
  look();
  return { look };
}

function tell(preview, wanted, isChanged, threshold) {
  if (!preview.covered_s) return "Nothing has been judged yet: there is nothing to compare with.";
  const count = preview.incidents.length;
  const often = `${count} incident${count === 1 ? "" : "s"} in the last ${span(preview.covered_s)}`;
  const limits = preview.threshold === null ? "" : `Threshold ${score(preview.threshold)}${isChanged && threshold !== null ? `, now ${score(threshold)}` : ""}.`;
  return isChanged ? `${perDay(wanted)} a day would have raised ${often}. ${limits}` : `This sensitivity stands for ${often}. ${limits}`;
}
