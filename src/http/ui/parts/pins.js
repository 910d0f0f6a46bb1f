import { post } from '../api.js';
import { announce, h } from '../dom.js';
import { ask } from './dialog.js';
import { notice } from './notice.js';
import { recordLink } from './record-table.js';
import { summary } from './sync.js';

/**
 * @typedef {import('../api.js').AuditRecord} AuditRecord
 * @typedef {import('../api.js').Target} Target
 * @typedef {import('../app.js').Context} Context
 */

/** The actions whose records describe the content of a target. */
const STATES = ['create', 'update', 'repair', 'adopt', 'rollback'];

/** Draws the record that a target is pinned to. @param {Pick<Target, 'pinned'>} target */
export function pinnedTo({ pinned }) {
  return pinned === undefined ? undefined : h('span', { class: 'pin' }, 'to ', recordLink(pinned));
}

/**
 * Draws the rollback section of the record of a change.
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
    'Roll back to this version…',
  );
  return h(
    'section',
    { class: 'card', 'aria-labelledby': 'back' },
    h('h2', { id: 'back' }, 'Roll back'),
    h(
      'p',
      { class: 'muted' },
      `Rebuilds ${namespace}/${secret} from these source versions, while their stores still have them.`,
    ),
    context.may('operator')
      ? h('div', { class: 'buttons' }, button)
      : h('p', { class: 'muted' }, 'Rolling back requires the role operator.'),
  );
}

/**
 * @param {{ mapping: string, namespace: string, secret: string } & Pick<AuditRecord, 'sequence' | 'sources'>} change
 * @param {Context} context
 */
function confirmRollback({ mapping, namespace, secret, sequence, sources }, { reload }) {
  const name = `${namespace}/${secret}`;
  const keys = new Map(sources.map((source) => [`${source.store} ${source.key} ${source.version}`, source]));
  ask({
    title: `Roll back to record ${sequence}?`,
    body: [
      h(
        'p',
        {},
        h('strong', {}, name),
        ' will be rebuilt with the current mapping from these source versions:',
      ),
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
        'The target keeps these versions until you unpin it, even when its sources change. If its content changes, the workloads in the mapping are restarted.',
      ),
      h('p', {}, 'If a store no longer has one of the versions, nothing changes.'),
    ],
    confirm: 'Roll back',
    async act() {
      const path = `api/v1/mappings/${encodeURIComponent(mapping)}/rollback`;
      const answer = await post(path, { to: sequence, namespace });
      await reload();
      showResult(answer, `Pinned ${name} to record ${sequence}`);
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
      h('p', {}, h('strong', {}, name), ` is pinned to the versions of record ${pinned}.`),
      h(
        'p',
        {},
        'It follows its sources again and gets their current values now. If its content changes, the workloads in the mapping are restarted.',
      ),
    ],
    confirm: 'Unpin',
    async act() {
      const answer = await post(`api/v1/mappings/${encodeURIComponent(mapping)}/unpin`, { namespace });
      await reload();
      showResult(answer, `Unpinned ${name}`);
    },
  });
}

/**
 * Shows the result. The request is recorded in the audit log even if the target could not be changed yet.
 * @param {import('../api.js').SyncAnswer} answer
 * @param {string} done
 */
function showResult(answer, done) {
  const [first] = answer.targets;
  const reason = typeof first?.code === 'string' ? ` (${first.code})` : '';
  const text = `${done}: ${summary(answer)}${reason}.`;
  document.querySelector('main .view')?.prepend(notice(answer.ok ? 'good' : 'warn', text));
  announce(text);
}
