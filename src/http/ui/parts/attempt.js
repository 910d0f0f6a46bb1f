import { problem } from './notice.js';

/**
 * Runs an action and shows its error. Ignores clicks while the action runs. The buttons get `aria-disabled` and not
 * `disabled`, because a disabled button loses the keyboard focus. At the end, an `attempted` event restarts the refresh
 * timer, so that the user has time to read the result.
 * @param {readonly HTMLButtonElement[]} buttons
 * @param {Element} trouble
 * @param {() => Promise<void>} work
 */
export async function attempt(buttons, trouble, work) {
  if (buttons.some((button) => button.getAttribute('aria-disabled') === 'true')) return;
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  trouble.replaceChildren();
  try {
    await work();
  } catch (error) {
    trouble.replaceChildren(problem(error));
  } finally {
    for (const button of buttons) button.removeAttribute('aria-disabled');
    buttons[0]?.dispatchEvent(new Event('attempted', { bubbles: true }));
  }
}
