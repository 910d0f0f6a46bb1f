import { endSession, onSignedOut, sessionOfCookie, signInMethods, signOut } from './api.js';
import { ROLES } from './constants.js';
import { announce, replace } from './dom.js';
import { showFrame } from './frame.js';
import { resetVerification } from './parts/verification.js';
import { signInForm } from './views/sign-in.js';

/**
 * The context of a view.
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

onSignedOut(() => void showSignIn('The service no longer accepts this sign-in. Sign in again.'));
void start();

/** Continues the session of a sign-in by OIDC, or asks for a sign-in. */
async function start() {
  const { session } = await showSignIn();
  if (session && endFrame === undefined) enter(await sessionOfCookie());
}

/** @param {string} [reason] */
function showSignIn(reason) {
  endFrame?.();
  endFrame = undefined;
  signOut();
  resetVerification();
  for (const dialog of document.querySelectorAll('dialog')) dialog.remove();
  document.title = 'Sign in – secretbridge';
  const methods = signInMethods();
  replace(root, signInForm(enter, methods, reason));
  root.querySelector('input')?.focus();
  return methods;
}

/** @param {import('./api.js').Session} session */
function enter(session) {
  // A slow sign-in can complete after another sign-in. Then a session already exists, so end that session.
  endFrame?.();
  resetVerification(session);
  const rank = ROLES.indexOf(session.role);
  announce(`Signed in as ${session.name}, ${session.role}.`);
  endFrame = showFrame(root, session, {
    may: (role) => ROLES.indexOf(role) <= rank,
    leave: async () => {
      if (session.endsAt !== undefined) await endSession();
      void showSignIn();
      announce('Signed out.');
    },
  });
}

// The back-forward cache of the browser keeps the page with its data. So sign out when the browser shows the page from
// this cache.
addEventListener('pageshow', ({ persisted }) => persisted && void start());
