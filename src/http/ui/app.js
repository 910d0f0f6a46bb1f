import { onSignedOut, signOut } from './api.js';
import { replace, say } from './dom.js';
import { showFrame } from './frame.js';
import { forgetProof } from './parts/proof.js';
import { signInForm } from './views/sign-in.js';
import { ROLES } from './words.js';

/**
 * What a view may use.
 * @typedef {{
 *   session: import('./api.js').Session,
 *   may: (role: string) => boolean,
 *   go: (address: string) => void,
 *   reload: () => Promise<void>,
 * }} Context
 */

const root = document.getElementById('app') ?? document.body;
/** @type {(() => void) | undefined} */
let endFrame;

onSignedOut(() => leave('The service no longer accepts this token. Sign in again.'));
leave();

/** @param {string} [why] */
function leave(why) {
  endFrame?.();
  endFrame = undefined;
  signOut();
  forgetProof();
  for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
  document.title = 'Sign in – secretbridge';
  replace(root, signInForm(enter, why));
  root.querySelector('input')?.focus();
}

/** @param {import('./api.js').Session} session */
function enter(session) {
  // Somebody may come in by a form that was put away while the service thought about it.
  endFrame?.();
  const rank = ROLES.indexOf(session.role);
  say(`Signed in as ${session.name}, ${session.role}.`);
  endFrame = showFrame(root, session, {
    may: (role) => ROLES.indexOf(role) <= rank,
    leave: () => {
      leave();
      say('Signed out.');
    },
  });
}

// A page that the browser kept aside and shows again has its data with it: who went away has to sign in.
addEventListener('pageshow', ({ persisted }) => persisted && leave());
