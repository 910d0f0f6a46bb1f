// Everything on the page is made here, as nodes and text: no markup is ever parsed, so that a name which holds
// some stays a name. The policy of the page (Trusted Types) forbids the rest.

/** @typedef {Node | string | number | false | null | undefined} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */

/**
 * An element. `on…` is a listener; `true` an attribute without a value; `false` or nothing leaves it out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Attributes} [attributes]
 * @param {...(Child | readonly Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    // A link leads to another view and nowhere else, whatever a name may hold.
    else if (name === 'href' && !String(value).startsWith('#')) throw new Error('a link out of the page');
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...nodes(children));
  return element;
}

/**
 * @param {Element} parent
 * @param {...(Child | readonly Child[])} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/**
 * @param {readonly (Child | readonly Child[])[]} children
 * @returns {(Node | string)[]}
 */
function nodes(children) {
  return children
    .flat()
    .filter((child) => child !== undefined && child !== null && child !== false)
    .map((child) => (child instanceof Node ? child : String(child)));
}

/**
 * Our own sentences, in which names of commands and fields stand between backticks.
 * @param {string} text
 */
export function prose(text) {
  return h('span', {}, ...text.split('`').map((part, at) => (at % 2 === 0 ? part : h('code', {}, part))));
}

/**
 * For a screen reader; the text is seen elsewhere.
 * @param {string} text
 */
export function say(text) {
  const live = document.getElementById('live');
  if (live === null) return;
  // The same text again would not be read.
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}
