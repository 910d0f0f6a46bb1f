import { post } from '../api.js';
import { h, say } from '../dom.js';
import { ask } from './dialog.js';
import { notice } from './notice.js';
import { recordLink } from './record-table.js';
import { summary } from './sync.js';

/**
 * @typedef {import('../api.js').AuditRecord} AuditRecord
 * @typedef {import('../api.js').Target} Target
 * @typedef {import('../app.js').Context} Context
 */

/** Those that tell in which state a target was. */
const STATES = ['create', 'update', 'repair', 'adopt', 'rollback'];

/** To which record a target is pinned. @param {Pick<Target, 'pinned'>} target */
export function pinnedTo({ pinned }) {
  return pinned === undefined ? undefined : h('span', { class: 'pin' }, 'to ', recordLink(pinned));
}

/**
 * For the record of a change: the way back to it.
 * @param {AuditRecord} record
 * @param {Context} context
 */
export function rollBack(record, context) {
  const { sequence, action, phase, outcome, mapping, namespace, secret, sources } = record;
  if (mapping === undefined || namespace === undefined || secret === undefined) return undefined;
  const isState = STATES.includes(action) && phase !== 'intent' && outcome === 'ok' && sources.length > 0;
  if (!isState) return undefined;
  const target = { mapping, namespace, secret };
  const button = h(
    'button',
    { type: 'button', onclick: () => confirmRollback({ ...target, sequence, sources }, context) },
    'Roll back to this…',
  );
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'back' },
    h('h2', { id: 'back' }, 'Go back'),
    h(
      'p',
      { class: 'muted' },
      `${namespace}/${secret} can be made of these versions again, as long as their stores have them.`,
    ),
    context.may('operator')
      ? h('div', { class: 'buttons' }, button)
      : h('p', { class: 'muted' }, 'Going back needs the role operator.'),
  );
}

/**
 * @param {{ mapping: string, namespace: string, secret: string } & Pick<AuditRecord, 'sequence' | 'sources'>} what
 * @param {Context} context
 */
function confirmRollback({ mapping, namespace, secret, sequence, sources }, { reload }) {
  const name = `${namespace}/${secret}`;
  const keys = new Map(sources.map((source) => [`${source.store} ${source.key} ${source.version}`, source]));
  ask({
    title: `Roll back to record ${sequence}?`,
    body: [
      h('p', {}, h('strong', {}, name), ' is made anew, by its mapping of today, of these versions:'),
      h(
        'ul',
        { class: 'versions' },
        ...[...keys.values()].map(({ store, key, version = '' }) =>
          h('li', {}, `${store}: ${key}, version `, h('code', { class: 'hash' }, version)),
        ),
      ),
      h(
        'p',
        {},
        'It stays there, whatever becomes of its sources, until somebody unpins it. When its content changes, the workloads that the mapping names are restarted.',
      ),
      h('p', {}, 'If a store no longer has one of the versions, nothing is changed.'),
    ],
    confirm: 'Roll back',
    async act() {
      const path = `api/v1/mappings/${encodeURIComponent(mapping)}/rollback`;
      const answer = await post(path, { to: sequence, namespace });
      await reload();
      tell(answer, `Pinned ${name} to record ${sequence}`);
    },
  });
}

/**
 * @param {Pick<Target, 'mapping' | 'namespace' | 'secret' | 'pinned'>} target
 * @param {Context} context
 */
export function unpinButton(target, context) {
  const { namespace, secret, pinned } = target;
  if (pinned === undefined || !context.may('operator')) return '';
  const label = `Unpin: ${namespace}/${secret}`;
  const onclick = () => confirmUnpin(target, context);
  return h('button', { type: 'button', class: 'small', 'aria-label': label, onclick }, 'Unpin…');
}

/** @param {Pick<Target, 'mapping' | 'namespace' | 'secret' | 'pinned'>} target @param {Context} context */
function confirmUnpin({ mapping, namespace, secret, pinned }, { reload }) {
  const name = `${namespace}/${secret}`;
  ask({
    title: 'Unpin this target?',
    body: [
      h('p', {}, h('strong', {}, name), ` is at the versions of record ${pinned}.`),
      h(
        'p',
        {},
        'It follows its sources again, and gets their current values at once. When its content changes, the workloads that the mapping names are restarted.',
      ),
    ],
    confirm: 'Unpin',
    async act() {
      const answer = await post(`api/v1/mappings/${encodeURIComponent(mapping)}/unpin`, { namespace });
      await reload();
      tell(answer, `Unpinned ${name}`);
    },
  });
}

/**
 * What came of it. That it was said is on record, even when the target could not be brought there yet.
 * @param {import('../api.js').SyncAnswer} answer
 * @param {string} done
 */
function tell(answer, done) {
  const [first] = answer.targets;
  const why = typeof first?.code === 'string' ? ` (${first.code})` : '';
  const text = `${done}: ${summary(answer)}${why}.`;
  document.querySelector('main .view')?.prepend(notice(answer.ok ? 'good' : 'warn', text));
  say(text);
}
