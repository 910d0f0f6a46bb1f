import { ApiError } from './api.js';
import { h, replace } from './dom.js';
import { clock } from './format.js';
import { notice, problem } from './parts/notice.js';
import { link, parse } from './router.js';
import { holdsView } from './views/holds.js';
import { mappingView } from './views/mapping.js';
import { mappingsView } from './views/mappings.js';
import { overviewView } from './views/overview.js';
import { recordView } from './views/record.js';
import { recordsView } from './views/records.js';
import { targetView } from './views/target.js';

/**
 * @typedef {import('./router.js').Place} Place
 * @typedef {{
 *   title: (place: Place) => string,
 *   load: (place: Place, signal: AbortSignal) => Promise<any>,
 *   draw: (data: any, place: Place, context: import('./app.js').Context) => import('./dom.js').Child[],
 *   refresh: 'redraw' | 'tell' | 'never',
 *   ask?: (place: Place, context: import('./app.js').Context) => import('./dom.js').Child[],
 * }} View `tell`: somebody reads a list that must not move below their eyes; they are told that it has changed.
 *   `ask`: what is asked for, which stands there too when it was asked wrongly.
 */

const REFRESH_MS = 30_000;
const AREAS = [
  { name: 'Overview', path: [] },
  { name: 'Records', path: ['records'] },
  { name: 'Mappings', path: ['mappings'] },
  { name: 'Holds', path: ['holds'] },
];

/** @type {ReadonlyMap<string, View>} */
const LISTS = new Map([
  ['records', recordsView],
  ['mappings', mappingsView],
  ['holds', holdsView],
]);

/** @param {Place} place @returns {View | undefined} */
function viewOf({ path: [area, first, second, ...more] }) {
  if (more.length > 0) return undefined;
  if (area === undefined) return overviewView;
  if (second !== undefined) return area === 'targets' && first !== undefined ? targetView : undefined;
  if (first !== undefined)
    return area === 'records' ? recordView : area === 'mappings' ? mappingView : undefined;
  return LISTS.get(area);
}

/**
 * What stands around every view. Gives what ends it.
 * @param {HTMLElement} root
 * @param {import('./api.js').Session} session
 * @param {{ may: (role: string) => boolean, leave: () => void }} options
 */
export function showFrame(root, session, { may, leave }) {
  let ending = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let shown = '';
  let over = false;
  const nav = h('nav', { 'aria-label': 'Main' });
  const heading = h('h1', { tabindex: -1 });
  const updated = h('span', { class: 'muted' });
  const news = h('div', { role: 'status' });
  const body = h('div', { class: 'view', onattempted: schedule });
  const paused = h('input', { type: 'checkbox', id: 'auto', checked: true, onchange: schedule });
  const automatic = h('label', { for: 'auto' }, paused, ' every 30 s');

  replace(
    root,
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to the content'),
    h(
      'header',
      { class: 'top' },
      h('a', { href: link([]), class: 'brand' }, 'secretbridge'),
      nav,
      h(
        'div',
        { class: 'who' },
        h('span', { class: 'person', title: session.name }, session.name),
        h('span', { class: 'badge plain' }, session.role),
        h('button', { type: 'button', class: 'quiet', onclick: leave }, 'Sign out'),
      ),
    ),
    h(
      'main',
      { id: 'main', tabindex: -1 },
      h(
        'div',
        { class: 'title' },
        heading,
        h(
          'div',
          { class: 'updates' },
          updated,
          h('button', { type: 'button', class: 'quiet', onclick: () => reload() }, 'Refresh'),
          automatic,
        ),
      ),
      news,
      body,
    ),
  );

  /** @param {Event} event */
  function skip(event) {
    event.preventDefault();
    heading.focus();
  }

  async function show() {
    const place = parse(location.hash);
    const view = viewOf(place);
    const title = view?.title(place) ?? 'Not found';
    document.title = `${title} – secretbridge`;
    replace(heading, title);
    drawNav(place);
    automatic.hidden = (view?.refresh ?? 'never') === 'never';
    replace(news);
    replace(body, h('p', { class: 'loading' }, 'Loading…'));
    shown = '';
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
    await load('draw');
  }

  function reload() {
    return load('draw');
  }

  /** @param {'draw' | 'check'} mode `check`: nobody asked for it. */
  async function load(mode) {
    if (over) return;
    clearTimeout(timer);
    ending.abort();
    ending = new AbortController();
    const { signal } = ending;
    const place = parse(location.hash);
    const view = viewOf(place);
    if (view === undefined)
      return replace(
        body,
        notice('plain', 'There is no such view. ', h('a', { href: link([]) }, 'Overview')),
      );
    body.setAttribute('aria-busy', 'true');
    try {
      const data = await view.load(place, signal);
      if (signal.aborted) return;
      take(view, place, data, mode);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      // What was read before stays: it is better than nothing, and its time stands beside it.
      if (shown === '') replace(body, ...(view.ask?.(place, context) ?? []), problem(error));
      else replace(news, problem(error));
    } finally {
      if (!signal.aborted) {
        body.removeAttribute('aria-busy');
        schedule();
      }
    }
  }

  /** @param {View} view @param {Place} place @param {any} data @param {'draw' | 'check'} mode */
  function take(view, place, data, mode) {
    if (mode === 'check' && working()) return;
    const text = JSON.stringify(data);
    updated.textContent = `Updated ${clock(Date.now())}`;
    if (text === shown && mode === 'check') return replace(news);
    if (mode === 'check' && view.refresh === 'tell') {
      const button = h('button', { type: 'button', class: 'quiet', onclick: reload }, 'Show them');
      return replace(news, notice('plain', 'There are newer records. ', button));
    }
    replace(news);
    shown = text;
    redraw(view.draw(data, place, context));
  }

  /** Whoever has the focus on something keeps it, if it is still there. @param {import('./dom.js').Child[]} children */
  function redraw(children) {
    const { activeElement } = document;
    const inside = activeElement !== null && body.contains(activeElement);
    const name = inside ? focusName(activeElement) : '';
    const alike = controls().filter((one) => focusName(one) === name);
    const nth = alike.indexOf(/** @type {HTMLElement} */ (activeElement));
    replace(body, ...children);
    if (!inside) return;
    const again = controls().filter((one) => focusName(one) === name)[nth];
    if (again !== undefined) again.focus({ preventScroll: true });
    else heading.focus({ preventScroll: true });
  }

  /** @returns {HTMLElement[]} */
  function controls() {
    return [...body.querySelectorAll('a, button, input, select, textarea, summary')].filter(
      (one) => one instanceof HTMLElement,
    );
  }

  /** Something runs that a new view would know nothing of, unlike a proof, and might be begun twice. */
  function working() {
    return body.querySelector('[aria-disabled="true"]:not(.proof *)') !== null;
  }

  function schedule() {
    clearTimeout(timer);
    const view = viewOf(parse(location.hash));
    if (over || !paused.checked || view === undefined || view.refresh === 'never') return;
    timer = setTimeout(() => {
      const wait = document.hidden || document.querySelector('dialog') !== null || working();
      return wait ? schedule() : load('check');
    }, REFRESH_MS);
  }

  /** @param {Place} place */
  function drawNav({ path: [area = ''] }) {
    const links = AREAS.map(({ name, path }) => {
      const here = (path[0] ?? '') === area;
      return h('li', {}, h('a', { href: link(path), 'aria-current': here && 'page' }, name));
    });
    replace(nav, h('ul', {}, ...links));
  }

  /** @type {import('./app.js').Context} */
  const context = {
    session,
    may,
    reload,
    go(address) {
      if (address === location.hash) void show();
      else location.hash = address;
    },
  };
  addEventListener('hashchange', show);
  void show();
  return () => {
    over = true;
    removeEventListener('hashchange', show);
    clearTimeout(timer);
    ending.abort();
  };
}

/** @param {Element} element */
function focusName(element) {
  return [
    element.tagName,
    element.id,
    element.getAttribute('href'),
    element.getAttribute('aria-label') ?? element.textContent,
  ].join(' ');
}
