"""Checks of a page that need no outside tool: names, landmarks, order, contrast. Each gives what it finds wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

STRUCTURE = """() => {
  const wrong = [];
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) wrong.push(`id ${id} twice`);
  for (const attribute of ['for', 'aria-labelledby', 'aria-describedby', 'list']) {
    for (const element of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(' ')) {
        if (!document.getElementById(id)) wrong.push(`${attribute} names ${id}, which is not there`);
      }
    }
  }
  if (document.querySelectorAll('main').length !== 1) wrong.push('not one main');
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
  if (!document.documentElement.lang) wrong.push('no language');
  const label = (e) => e.getAttribute('aria-label') || e.textContent || e.labels?.[0]?.textContent || e.title || '';
  const name = (e) => label(e).trim();
  const controls = 'a[href], button, input:not([type=hidden]), select, textarea, [tabindex="0"]';
  for (const e of document.querySelectorAll(controls)) {
    if (!name(e) && !e.getAttribute('aria-labelledby')) wrong.push(`no name: ${e.outerHTML.slice(0, 120)}`);
  }
  for (const e of document.querySelectorAll('img:not([alt])')) wrong.push(`no alt: ${e.outerHTML.slice(0, 120)}`);
  for (const e of document.querySelectorAll('a button, button a, button button, a a')) {
    wrong.push(`nested: ${e.outerHTML.slice(0, 120)}`);
  }
  for (const e of document.querySelectorAll('table')) {
    if (!e.querySelector('th') && e.rows[0]?.cells.length > 2) wrong.push('a table without heads');
  }
  return wrong;
}"""

CONTRAST = """() => {
  const rgb = (text) => { const m = text.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const part = (v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgb(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const wrong = new Map();
  for (const e of document.querySelectorAll('body *')) {
    const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.nodeValue.trim());
    if (!said || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (e.closest('svg, canvas, :disabled, [aria-disabled=true], option, .visually-hidden, .skip')) continue;
    const style = getComputedStyle(e);
    const behind = ground(e);
    const [a, b] = [light(over(rgb(style.color), behind)), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio >= (large ? 3 : 4.5)) continue;
    const words = e.textContent.trim().slice(0, 30);
    wrong.set(`${e.className} ${style.color}`, `${ratio.toFixed(2)}: ${e.tagName} "${words}" ${style.color}`);
  }
  return [...wrong.values()];
}"""

FOCUSED = """() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  const outlined = (of) => of.outlineStyle !== 'none' && parseFloat(of.outlineWidth) >= 2;
  const holder = e.closest('.card, .incident');
  return {
    what: (e.getAttribute('aria-label') || e.textContent || e.id || e.tagName).trim().slice(0, 60),
    top: box.top + scrollY,
    seen: outlined(style) || (holder !== null && outlined(getComputedStyle(holder))),
  };
}"""


def structure_faults(page: Page) -> list[str]:
    faults: list[str] = page.evaluate(STRUCTURE)
    return faults


def contrast_faults(page: Page) -> list[str]:
    faults: list[str] = page.evaluate(CONTRAST)
    return faults


def focus_order(page: Page, *, steps: int) -> list[dict[str, object]]:
    """What Tab comes to, one after the other, and whether it can be seen there."""
    stops = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(FOCUSED))
    return stops
