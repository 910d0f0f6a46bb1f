import { post } from '../api.js';
import { announce, h } from '../dom.js';
import { attempt } from './attempt.js';

/**
 * @param {string} mapping
 * @param {import('../app.js').Context} context
 */
export function syncButton(mapping, { may }) {
  if (!may('operator')) return '';
  const result = h('span', { class: 'muted' });
  const trouble = h('div');
  const button = h(
    'button',
    { type: 'button', class: 'small', 'aria-label': `Sync now: ${mapping}`, onclick: run },
    'Sync now',
  );

  function run() {
    return attempt([button], trouble, async () => {
      result.textContent = ' running…';
      try {
        const answer = await post(`api/v1/mappings/${encodeURIComponent(mapping)}/sync`);
        result.textContent = ` ${summary(answer)}`;
        announce(`${mapping}: ${summary(answer)}`);
      } finally {
        if (result.textContent === ' running…') result.textContent = '';
      }
    });
  }

  return h('div', {}, button, result, trouble);
}

/** @param {import('../api.js').SyncAnswer} answer */
export function summary({ summary: counts, pending }) {
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => `${count} ${word}`);
  if (pending > 0) parts.push(`${pending} still running`);
  return parts.length === 0 ? 'nothing to do' : parts.join(', ');
}
