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
 * @typedef {import('./router.js').Route} Route
 * @typedef {{
 *   title: (route: Route) => string,
 *   load: (route: Route, signal: AbortSignal) => Promise<any>,
 *   draw: (data: any, route: Route, context: import('./app.js').Context) => import('./dom.js').Child[],
 *   refresh: 'redraw' | 'notify' | 'never',
 *   form?: (route: Route, context: import('./app.js').Context) => import('./dom.js').Child[],
 * }} View
 *   `refresh: 'notify'` shows a notice when the data changed, so that a list does not move while somebody reads it.
 *   `form` draws the controls that stay visible when loading fails.
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

/** @param {Route} route @returns {View | undefined} */
function viewOf({ path: [area, first, second, ...more] }) {
  if (more.length > 0) return undefined;
  if (area === undefined) return overviewView;
  if (second !== undefined) return area === 'targets' && first !== undefined ? targetView : undefined;
  if (first !== undefined)
    return area === 'records' ? recordView : area === 'mappings' ? mappingView : undefined;
  return LISTS.get(area);
}

/**
 * Draws the header, the navigation and the current view. Returns a function that removes them.
 * @param {HTMLElement} root
 * @param {import('./api.js').Session} session
 * @param {{ may: (role: string) => boolean, leave: () => void }} options
 */
export function showFrame(root, session, { may, leave }) {
  let loading = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let shown = '';
  let ended = false;
  const nav = h('nav', { 'aria-label': 'Main' });
  const heading = h('h1', { tabindex: -1 });
  const updated = h('span', { class: 'muted' });
  const updateNotice = h('div', { role: 'status' });
  const body = h('div', { class: 'view', onattempted: schedule });
  const autoRefresh = h('input', { type: 'checkbox', id: 'auto', checked: true, onchange: schedule });
  const automatic = h('label', { for: 'auto' }, autoRefresh, ' every 30 s');

  replace(
    root,
    h('a', { class: 'skip', href: '#main', onclick: skip }, 'Skip to content'),
    h(
      'header',
      { class: 'top' },
      h('a', { href: link([]), class: 'brand' }, 'secretbridge'),
      nav,
      h(
        'div',
        { class: 'account' },
        h('span', { class: 'person', title: session.name }, session.name),
        h('span', { class: 'badge plain' }, session.role),
        session.namespaces !== undefined &&
          h(
            'span',
            { class: 'person', title: 'The namespaces of this token' },
            session.namespaces.join(', '),
          ),
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
      updateNotice,
      body,
    ),
  );

  /** @param {Event} event */
  function skip(event) {
    event.preventDefault();
    heading.focus();
  }

  async function show() {
    const route = parse(location.hash);
    const view = viewOf(route);
    const title = view?.title(route) ?? 'Not found';
    document.title = `${title} – secretbridge`;
    replace(heading, title);
    drawNav(route);
    automatic.hidden = (view?.refresh ?? 'never') === 'never';
    replace(updateNotice);
    replace(body, h('p', { class: 'loading' }, 'Loading…'));
    shown = '';
    scrollTo(0, 0);
    heading.focus({ preventScroll: true });
    await load('draw');
  }

  function reload() {
    return load('draw');
  }

  /** @param {'draw' | 'check'} mode `check`: an automatic refresh. */
  async function load(mode) {
    if (ended) return;
    clearTimeout(timer);
    loading.abort();
    loading = new AbortController();
    const { signal } = loading;
    const route = parse(location.hash);
    const view = viewOf(route);
    if (view === undefined)
      return replace(
        body,
        notice('plain', 'This page does not exist. ', h('a', { href: link([]) }, 'Overview')),
      );
    body.setAttribute('aria-busy', 'true');
    try {
      const data = await view.load(route, signal);
      if (signal.aborted) return;
      apply(view, route, data, mode);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      // If the view already shows data, keep the data and the time of its last update.
      if (shown === '') replace(body, ...(view.form?.(route, context) ?? []), problem(error));
      else replace(updateNotice, problem(error));
    } finally {
      if (!signal.aborted) {
        body.removeAttribute('aria-busy');
        schedule();
      }
    }
  }

  /** @param {View} view @param {Route} route @param {any} data @param {'draw' | 'check'} mode */
  function apply(view, route, data, mode) {
    if (mode === 'check' && isBusy()) return;
    const text = JSON.stringify(data);
    updated.textContent = `Updated ${clock(Date.now())}`;
    if (text === shown && mode === 'check') return replace(updateNotice);
    if (mode === 'check' && view.refresh === 'notify') {
      const button = h('button', { type: 'button', class: 'quiet', onclick: reload }, 'Show new records');
      return replace(updateNotice, notice('plain', 'There are newer records. ', button));
    }
    replace(updateNotice);
    shown = text;
    redraw(view.draw(data, route, context));
  }

  /**
   * Redraws the view. The focus stays on the same control, if it still exists.
   * @param {import('./dom.js').Child[]} children
   */
  function redraw(children) {
    const { activeElement } = document;
    const inside = activeElement !== null && body.contains(activeElement);
    const name = inside ? focusName(activeElement) : '';
    const sameName = controls().filter((control) => focusName(control) === name);
    const index = sameName.indexOf(/** @type {HTMLElement} */ (activeElement));
    replace(body, ...children);
    if (!inside) return;
    const replacement = controls().filter((control) => focusName(control) === name)[index];
    if (replacement !== undefined) replacement.focus({ preventScroll: true });
    else heading.focus({ preventScroll: true });
  }

  /** @returns {HTMLElement[]} */
  function controls() {
    return [...body.querySelectorAll('a, button, input, select, textarea, summary')].filter(
      (element) => element instanceof HTMLElement,
    );
  }

  /**
   * Returns whether an action is running. A redraw would lose the state of the action. A running verification does not
   * count as an action, because it survives a redraw.
   */
  function isBusy() {
    return body.querySelector('[aria-disabled="true"]:not(.verification *)') !== null;
  }

  function schedule() {
    clearTimeout(timer);
    const view = viewOf(parse(location.hash));
    if (ended || !autoRefresh.checked || view === undefined || view.refresh === 'never') return;
    timer = setTimeout(() => {
      const wait = document.hidden || document.querySelector('dialog') !== null || isBusy();
      return wait ? schedule() : load('check');
    }, REFRESH_MS);
  }

  /** @param {Route} route */
  function drawNav({ path: [area = ''] }) {
    const links = AREAS.map(({ name, path }) => {
      const isCurrent = (path[0] ?? '') === area;
      return h('li', {}, h('a', { href: link(path), 'aria-current': isCurrent && 'page' }, name));
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
    ended = true;
    removeEventListener('hashchange', show);
    clearTimeout(timer);
    loading.abort();
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
