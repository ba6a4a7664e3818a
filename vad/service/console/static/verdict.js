// Verdicts: given with one key, kept by the server, undone with U.

import { call, event as eventPath } from "./api.js";
import { say, sayProblem, shortcut } from "./shell.js";
import { word } from "./words.js";

const KEYS = { true: ["1", "t"], false: ["2", "f"], expected: ["3", "e"] };
const given = []; // [incident, verdict before], the newest last

export const mayJudge = () => document.body.dataset.role !== "viewer";

/** Give (or with null take back) a verdict. Resolves to whether the server has it. */
export async function judge(incident, verdict, { note = "", before = null, remember = true } = {}) {
  try {
    const path = `${eventPath(incident)}/verdict`;
    if (verdict) await call("PUT", path, { body: { verdict, note } });
    else await call("DELETE", path);
    if (remember) given.push([incident, before]);
    document.dispatchEvent(new CustomEvent("vad:verdict", { detail: { incident, verdict } }));
    return true;
  } catch (error) {
    sayProblem(error, "The verdict was not kept");
    return false;
  }
}

/** `target()` says which incident the keys mean: {incident, verdict, note}, or null. */
export function verdictKeys(target) {
  if (!mayJudge()) return;
  for (const [verdict, keys] of Object.entries(KEYS)) {
    shortcut(keys, `Verdict: ${word("verdicts", verdict).toLowerCase()}`, () => {
      const { incident, verdict: before = null, note } = target() ?? {};
      if (!incident) return false;
      judge(incident, verdict, { note, before });
      return true;
    });
  }
  shortcut("u", "Undo the last verdict", () => {
    const last = given.pop();
    if (last) judge(last[0], last[1], { remember: false });
    else say("There is no verdict of this page to undo.");
  });
}
