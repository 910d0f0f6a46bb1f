import { ApiError, signIn } from '../api.js';
import { h } from '../dom.js';
import { attempt } from '../parts/attempt.js';

/**
 * @param {(session: import('../api.js').Session) => void} enter
 * @param {Promise<{ oidc: boolean }>} methods
 * @param {string} [reason] The reason why the previous session ended.
 */
export function signInForm(enter, methods, reason) {
  const token = h('input', {
    id: 'token',
    type: 'password',
    required: true,
    autocomplete: 'off',
    'aria-describedby': 'token-help',
  });
  const button = h('button', { type: 'submit', class: 'primary' }, 'Sign in');
  const trouble = h(
    'div',
    {},
    reason !== undefined && h('div', { class: 'notice warn', role: 'alert' }, reason),
  );

  /** @param {SubmitEvent} event */
  function submit(event) {
    event.preventDefault();
    return attempt([button], trouble, async () => {
      try {
        enter(await signIn(token.value.trim()));
      } catch (error) {
        token.select();
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
        trouble.replaceChildren(refused());
      }
    });
  }

  const account = h(
    'p',
    { hidden: true },
    h('button', { type: 'button', class: 'primary', onclick: openProvider }, 'Sign in with your account'),
  );
  void methods.then(({ oidc }) => {
    account.hidden = !oidc;
  });

  /** The present view is shown again after the sign-in. */
  function openProvider() {
    const { hash } = location;
    location.assign(`auth/login${hash === '' ? '' : `?to=${encodeURIComponent(hash)}`}`);
  }

  return h(
    'main',
    { class: 'sign-in' },
    h('h1', {}, 'secretbridge'),
    h('p', { class: 'muted' }, 'See who changed which Secret, when, why and from which version.'),
    account,
    h(
      'form',
      { method: 'post', onsubmit: submit },
      h('label', { for: 'token' }, 'Access token'),
      token,
      h(
        'p',
        { id: 'token-help', class: 'muted' },
        "The token is only kept in this page's memory. After a reload, enter it again.",
      ),
      trouble,
      button,
    ),
  );
}

function refused() {
  return h(
    'div',
    { class: 'notice bad', role: 'alert' },
    h('strong', {}, 'The service does not know this token.'),
  );
}
