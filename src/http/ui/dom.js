// Builds all DOM nodes without parsing markup, so markup in a name is shown as text. Trusted Types in the page's
// Content Security Policy enforce this.

/** @typedef {Node | string | number | false | null | undefined} Child */
/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Attributes */

/**
 * Creates an element. `on…` adds an event listener, and `true` adds an attribute without a value. `false`, null and
 * undefined are skipped.
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
    // Links never leave the page, even if a name contains a URL.
    else if (name === 'href' && !String(value).startsWith('#'))
      throw new Error('a link must stay within the page');
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
 * Renders text. Parts in backticks become code elements.
 * @param {string} text
 */
export function withCode(text) {
  return h('span', {}, ...text.split('`').map((part, at) => (at % 2 === 0 ? part : h('code', {}, part))));
}

/**
 * Announces text to screen readers. The text is visible elsewhere.
 * @param {string} text
 */
export function announce(text) {
  const live = document.getElementById('live');
  if (live === null) return;
  // Change the text slightly, because screen readers ignore unchanged text.
  live.textContent = live.textContent === text ? `${text}\u00a0` : text;
}
