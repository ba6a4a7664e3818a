// Health: the server's rendering, patched in place every few seconds.

import { send } from "./api.js";
import { morph, parse } from "./morph.js";
import { every, lostTouch, sayProblem, startShell } from "./shell.js";
import { localise } from "./words.js";

const EVERY_S = 3;

startShell();
every(EVERY_S, async () => {
  try {
    const response = await send("GET", location.pathname + location.search);
    const page = parse(await response.text());
    localise(page);
    for (const id of ["summary", "swap"]) morph(document.getElementById(id), page.getElementById(id));
  } catch (error) {
    if (error.status === undefined || error.status >= 500) lostTouch();
    else if (error.status !== 401) sayProblem(error, "The engine's health");
  }
});
