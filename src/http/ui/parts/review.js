import { get, post } from '../api.js';
import { announce, h } from '../dom.js';
import { time } from '../format.js';
import { link } from '../router.js';
import { attempt } from './attempt.js';
import { badge } from './badge.js';
import { notice } from './notice.js';
import { recordLink, reviewOf } from './record-table.js';

/** The maximum length that the API accepts. */
const NOTE_LENGTH = 2_000;

/**
 * Draws the review of a record and the form to change it.
 * @param {import('../api.js').AuditRecord} record
 * @param {import('../app.js').Context} context
 */
export function review(record, { may, go, reload }) {
  const { sequence, reviewed } = record;
  const note = h('textarea', { id: 'note', rows: 2, maxlength: NOTE_LENGTH });
  const trouble = h('div');
  const next = h('button', { type: 'button', onclick: openNext }, 'Next unreviewed');
  const marks = [
    h('button', { type: 'button', class: 'primary', onclick: () => mark('reviewed') }, 'Mark as reviewed'),
    h('button', { type: 'button', onclick: () => mark('flagged') }, 'Flag'),
  ];

  /** @param {string} state */
  function mark(state) {
    const text = note.value.trim();
    return attempt(marks, trouble, async () => {
      await post(`api/v1/audit/records/${sequence}/review`, text === '' ? { state } : { state, note: text });
      await reload();
      announce(`Record ${sequence} is ${state}.`);
    });
  }

  function openNext() {
    return attempt([next], trouble, async () => {
      const query = { review: 'unreviewed', cursor: sequence, limit: 1 };
      const { records } = await get('api/v1/audit/records', query);
      if (records.length > 0) return go(link(['records', records[0].sequence]));
      trouble.replaceChildren(notice('good', 'There are no older unreviewed records.'));
      announce('There are no older unreviewed records.');
    });
  }

  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'review' },
    h('h2', { id: 'review' }, 'Review ', badge(reviewOf(record))),
    reviewed !== undefined &&
      h(
        'p',
        {},
        reviewed.by === undefined ? '' : h('strong', {}, reviewed.by),
        ' ',
        time(reviewed.time),
        ', as ',
        recordLink(reviewed.sequence),
        reviewed.note === undefined ? '' : h('q', { class: 'note' }, reviewed.note),
      ),
    ...(may('reviewer')
      ? [h('div', { class: 'field' }, h('label', { for: 'note' }, 'Note (optional)'), note)]
      : [h('p', { class: 'muted' }, 'Reviewing requires the role reviewer.')]),
    h('div', { class: 'buttons' }, ...(may('reviewer') ? marks : []), next),
    trouble,
  );
}
