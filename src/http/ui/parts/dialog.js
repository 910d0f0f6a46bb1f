import { h } from '../dom.js';
import { attempt } from './attempt.js';

/**
 * Asks before something that cannot be taken back. The browser keeps the focus inside and gives it back.
 * @param {{
 *   title: string, body: import('../dom.js').Child[], confirm: string, danger?: boolean,
 *   act: () => Promise<void>,
 * }} options `act` runs on confirmation; what it throws is shown, and the question stays.
 */
export function ask({ title, body, confirm, danger = false, act }) {
  const trouble = h('div');
  const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
  const yes = h('button', { type: 'button', class: danger ? 'danger' : 'primary', onclick: go }, confirm);
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'dialog-title', onclose: end },
    h('h2', { id: 'dialog-title' }, title),
    ...body,
    trouble,
    h('div', { class: 'buttons' }, cancel, yes),
  );

  function go() {
    return attempt([yes], trouble, async () => {
      await act();
      dialog.close();
    });
  }

  function end() {
    dialog.remove();
    // What had the focus before may have gone with what was done.
    if (document.activeElement === document.body) document.querySelector('h1')?.focus();
  }

  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
}
