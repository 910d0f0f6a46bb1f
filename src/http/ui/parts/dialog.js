import { h } from '../dom.js';
import { attempt } from './attempt.js';

/**
 * Asks for confirmation before an action that cannot be undone. The browser keeps the focus inside the dialog and
 * restores it afterwards.
 * @param {{
 *   title: string, body: import('../dom.js').Child[], confirm: string, danger?: boolean,
 *   act: () => Promise<void>,
 * }} options `act` runs on confirmation. When it throws, the error is shown and the dialog stays open.
 */
export function ask({ title, body, confirm, danger = false, act }) {
  const trouble = h('div');
  const cancel = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
  const confirmButton = h(
    'button',
    { type: 'button', class: danger ? 'danger' : 'primary', onclick: go },
    confirm,
  );
  const dialog = h(
    'dialog',
    { 'aria-labelledby': 'dialog-title', onclose: end },
    h('h2', { id: 'dialog-title' }, title),
    ...body,
    trouble,
    h('div', { class: 'buttons' }, cancel, confirmButton),
  );

  function go() {
    return attempt([confirmButton], trouble, async () => {
      await act();
      dialog.close();
    });
  }

  function end() {
    dialog.remove();
    // The element that had the focus before may no longer exist.
    if (document.activeElement === document.body) document.querySelector('h1')?.focus();
  }

  document.body.append(dialog);
  dialog.showModal();
  cancel.focus();
}
