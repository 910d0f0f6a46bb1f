import { problem } from './notice.js';

/**
 * Does some work once at a time and shows what went wrong. Its buttons take no press meanwhile; they are not
 * disabled, since a disabled button loses the focus, and who uses the keyboard their place. What stands around is told
 * at the end (`attempted`): whoever asked has to read what came of it.
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
