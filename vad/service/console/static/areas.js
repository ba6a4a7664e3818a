// The list of a camera's masks and zones beside its picture, and keeping them.

import { call } from "./api.js";
import { Drawing } from "./drawing.js";
import { say, sayProblem, shortcut } from "./shell.js";
import { icon, make } from "./words.js";

const by = (id) => document.getElementById(id);
const areasOf = ({ masks, zones }) => [
  ...masks.map((one) => ({ kind: "mask", name: one.name, points: one.points })),
  ...zones.map((one) => ({ kind: "zone", name: one.name, points: one.points })),
];

export function bindAreas({ camera, image, path, onSaved }) {
  const isEditable = by("save-areas") !== null;
  const svg = by("drawing");
  const drawing = new Drawing({
    svg,
    areas: areasOf(camera),
    isEditable,
    onChange: () => list(drawing, isEditable),
    tell: (text) => { if (by("drawing-now")) by("drawing-now").textContent = text; },
  });
  list(drawing, isEditable);
  follow(drawing, image);
  const toggle = () => {
    const shown = by("areas-shown").getAttribute("aria-pressed") !== "true";
    by("areas-shown").setAttribute("aria-pressed", shown);
    svg.toggleAttribute("hidden", !shown);
  };
  by("areas-shown").addEventListener("click", toggle);
  shortcut("o", "Show or hide masks and zones", toggle);
  if (!isEditable) return;
  svg.setAttribute("tabindex", "0");
  const begin = (kind) => () => {
    if (by("areas-shown").getAttribute("aria-pressed") !== "true") toggle();
    drawing.begin(kind);
  };
  by("draw-mask").addEventListener("click", begin("mask"));
  by("draw-zone").addEventListener("click", begin("zone"));
  by("undo-areas").addEventListener("click", () => drawing.undo());
  by("drop-areas").addEventListener("click", () => drawing.discard());
  by("save-areas").addEventListener("click", () => save(drawing, path, onSaved));
  shortcut("m", "Draw a mask", begin("mask"));
  shortcut("z", "Draw a zone", begin("zone"));
  shortcut("u", "Undo the last change of the areas", () => drawing.undo());
  addEventListener("beforeunload", (event) => drawing.isChanged && event.preventDefault());
}

/** Keep the drawing exactly over the picture, whatever its shape and the window's. */
function follow(drawing, image) {
  const stage = image.parentElement;
  const place = () => {
    const ratio = image.naturalWidth ? image.naturalWidth / image.naturalHeight : 16 / 9;
    const width = Math.min(stage.clientWidth, stage.clientHeight * ratio);
    const height = width / ratio;
    drawing.place({ left: (stage.clientWidth - width) / 2, top: (stage.clientHeight - height) / 2, width, height });
  };
  new ResizeObserver(place).observe(stage);
  image.addEventListener("load", place);
  place();
}

function list(drawing, isEditable) {
  const entries = drawing.areas.map((one, index) => {
    const name = make("input", {
      value: one.name, maxlength: 64, placeholder: one.kind === "mask" ? "Mask" : "Zone", disabled: !isEditable, autocomplete: "off",
      "aria-label": `Name of ${one.kind} ${index + 1}`,
    });
    name.addEventListener("change", () => drawing.rename(index, name.value.trim()));
    const item = make("li", { "aria-current": drawing.chosen === index ? "true" : null }, make("span", { class: "kind" }, one.kind === "mask" ? "Mask" : "Zone"), name);
    if (isEditable) {
      const edit = make("button", { class: "button", type: "button", "aria-label": `Edit ${one.name || one.kind}` }, "Edit");
      edit.addEventListener("click", () => drawing.choose(index, { focus: true }));
      const remove = make("button", { class: "icon-button", type: "button", "aria-label": `Delete ${one.name || one.kind}`, title: "Delete" }, icon("close"));
      remove.addEventListener("click", () => drawing.remove(index));
      item.append(edit, remove);
    }
    return item;
  });
  const place = by("areas");
  if (!place.contains(document.activeElement) || entries.length !== place.querySelectorAll("input").length) {
    place.replaceChildren(...(entries.length ? entries : [make("li", { class: "muted" }, "None: the whole picture is looked at.")]));
  }
  if (!isEditable) return;
  by("save-areas").disabled = !drawing.isChanged;
  by("drop-areas").disabled = !drawing.isChanged && !drawing.draft;
  by("undo-areas").disabled = !drawing.past.length && !drawing.draft;
}

async function save(drawing, path, onSaved) {
  by("save-areas").disabled = true;
  try {
    const camera = await call("PATCH", path, { body: { masks: drawing.of("mask"), zones: drawing.of("zone") } });
    drawing.settle(areasOf(camera));
    say("Saved. Masks are blackened from now on, and only what lies in a zone is judged if there are any.");
    onSaved();
  } catch (error) {
    sayProblem(error, "The areas were not saved");
    list(drawing, true);
  }
}
