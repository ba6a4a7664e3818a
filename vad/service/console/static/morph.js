// Make an element look like a newer rendering of itself, so that focus, scrolling and what has not changed stay.

export function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const wanted = [...fresh.childNodes];
  const there = [...old.childNodes];
  wanted.forEach((child, index) => {
    if (there[index]) morph(there[index], child);
    else old.append(document.importNode(child, true));
  });
  for (const extra of there.slice(wanted.length)) extra.remove();
}

export const parse = (text) => new DOMParser().parseFromString(text, "text/html");
