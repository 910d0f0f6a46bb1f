import type { Action, AuditRecord, EntryOutcome } from '../entry.ts';
import type { Review } from '../store.ts';

/** The version of the Open Cybersecurity Schema Framework, https://schema.ocsf.io. */
const OCSF_VERSION = '1.3.0';

/** The class Entity Management: an actor changes an entity. Our entities are Secrets, sources and the audit log. */
const CATEGORY = { category_uid: 3, category_name: 'Identity & Access Management' } as const;
const CLASS = { class_uid: 3004, class_name: 'Entity Management' } as const;

const CREATE = [1, 'Create'] as const;
const READ = [2, 'Read'] as const;
const UPDATE = [3, 'Update'] as const;
const DELETE = [4, 'Delete'] as const;
/** The OCSF id of all activities that OCSF does not define. We choose the names of these activities. */
const OTHER = 99;

const ACTIVITIES: Partial<Readonly<Record<Action, readonly [id: number, name: string]>>> = {
  read: READ,
  sweep: READ,
  export: READ,
  create: CREATE,
  update: UPDATE,
  repair: UPDATE,
  adopt: UPDATE,
  rollback: UPDATE,
  restart: UPDATE,
  configure: UPDATE,
  delete: DELETE,
};

const SEVERITIES: Readonly<Record<EntryOutcome, readonly [id: number, name: string]>> = {
  ok: [1, 'Informational'],
  refused: [2, 'Low'],
  held: [3, 'Medium'],
  failed: [3, 'Medium'],
};

/** The status of an intent, which has no result yet. */
const INTENT = [OTHER, 'Intent'] as const;
const STATUSES: Readonly<Record<EntryOutcome, readonly [id: number, name: string]>> = {
  ok: [1, 'Success'],
  failed: [2, 'Failure'],
  refused: [2, 'Failure'],
  held: [OTHER, 'Held'],
};

/**
 * Converts a record to an OCSF event (table in `docs/how-to/review-the-audit.md`). Puts fields into `unmapped` if OCSF
 * does not define them.
 */
export function toOcsf(record: AuditRecord, review: Review | undefined, version: string): object {
  const { action, outcome, phase, code, note } = record;
  const [activity, activityName] = ACTIVITIES[action] ?? [OTHER, action];
  const [severity, severityName] = SEVERITIES[outcome];
  const [status, statusName] = phase === 'intent' ? INTENT : STATUSES[outcome];
  const time = Date.parse(record.time);
  const result = resultOf(record);
  return {
    ...CATEGORY,
    ...CLASS,
    activity_id: activity,
    activity_name: activityName,
    type_uid: CLASS.class_uid * 100 + activity,
    type_name: `${CLASS.class_name}: ${activityName}`,
    severity_id: severity,
    severity: severityName,
    status_id: status,
    status: statusName,
    ...(code === undefined ? {} : { status_code: code }),
    time,
    duration: record.durationMs,
    message: `${action} of ${entityName(record)}: ${phase === 'intent' ? 'intent' : outcome}`,
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'secretbridge', vendor_name: 'secretbridge', version },
      uid: record.hash,
      sequence: record.sequence,
      correlation_uid: record.requestId,
      event_code: action,
      log_name: 'audit',
      log_provider: record.instance,
      logged_time: time,
      original_time: record.time,
    },
    actor: actorOf(record),
    ...(record.actor.address === undefined ? {} : { src_endpoint: { ip: record.actor.address } }),
    entity: entityOf(record),
    ...(result === undefined ? {} : { entity_result: result }),
    ...(note === undefined ? {} : { comment: note }),
    unmapped: unmapped(record, review),
  };
}

function actorOf({ actor, replica }: AuditRecord): object {
  const app = { app_name: 'secretbridge', app_uid: replica };
  const { name, subject } = actor;
  return name === undefined
    ? app
    : { ...app, user: { name, ...(subject === undefined ? {} : { uid: subject }) } };
}

interface ManagedEntity {
  /** The OCSF id 99 means "Other". The kind of entity is then only in `type`. */
  readonly type_id: typeof OTHER;
  readonly type: string;
  readonly name: string;
  readonly uid: string;
  readonly version?: string;
  readonly data?: { readonly fingerprint: string };
}

function entityOf(record: AuditRecord): ManagedEntity {
  const { namespace, secret, store, key, sources, phase, resourceVersion, before, after } = record;
  if (secret !== undefined)
    return {
      type_id: OTHER,
      type: 'Kubernetes Secret',
      name: secret,
      uid: `${namespace}/${secret}`,
      ...(phase === 'intent' && resourceVersion !== undefined ? { version: resourceVersion } : {}),
      ...dataOf(before),
    };
  if (store !== undefined)
    return {
      type_id: OTHER,
      type: 'Secret source',
      name: key ?? store,
      uid: key === undefined ? store : `${store}: ${key}`,
      ...(sources[0] === undefined ? {} : { version: sources[0].version }),
      ...dataOf(after),
    };
  if (record.review !== undefined)
    return {
      type_id: OTHER,
      type: 'Audit record',
      name: `record ${record.review.sequence}`,
      uid: String(record.review.sequence),
    };
  const type = record.action === 'export' ? 'Audit log' : 'Installation';
  return { type_id: OTHER, type, name: record.instance, uid: record.instance };
}

/** Returns the entity after a successful change. Returns undefined for all other records. */
function resultOf(record: AuditRecord): ManagedEntity | undefined {
  const { secret, namespace, phase, outcome, action, after, resourceVersion } = record;
  if (secret === undefined || phase !== 'outcome' || outcome !== 'ok' || action === 'delete')
    return undefined;
  return {
    type_id: OTHER,
    type: 'Kubernetes Secret',
    name: secret,
    uid: `${namespace}/${secret}`,
    ...(resourceVersion === undefined ? {} : { version: resourceVersion }),
    ...dataOf(after),
  };
}

function dataOf(fingerprint: string | undefined) {
  return fingerprint === undefined ? {} : { data: { fingerprint } };
}

function entityName(record: AuditRecord): string {
  return entityOf(record).uid;
}

function unmapped(record: AuditRecord, review: Review | undefined): object {
  const { action, phase, outcome, mapping, keys, values, sources, counts, attempt, previousHash } = record;
  const { count, since, changes, configHash, revision, requested, approval } = record;
  const reviewed = action === 'review' ? record.review : { state: 'unreviewed', ...review };
  return {
    actor_kind: record.actor.kind,
    outcome,
    attempt,
    previous_hash: previousHash,
    ...(phase === undefined ? {} : { phase }),
    ...(mapping === undefined ? {} : { mapping }),
    keys,
    ...(values === undefined ? {} : { values }),
    sources,
    ...(counts === undefined ? {} : { counts }),
    ...(count === undefined ? {} : { count }),
    ...(since === undefined ? {} : { since }),
    ...(changes === undefined ? {} : { changes }),
    ...(configHash === undefined ? {} : { config_hash: configHash }),
    ...(revision === undefined ? {} : { revision }),
    ...(requested === undefined ? {} : { requested }),
    ...(approval === undefined ? {} : { approval }),
    review: reviewed,
  };
}
