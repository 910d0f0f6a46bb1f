import type { ErrorKind } from './kind.ts';

/** Configuration, audit, queue, and the rules that hold a change back. */
export const OURS = {
  NOT_ALLOWED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the `access` rules, or the bounds of its `include`, do not allow this source for this namespace',
    todo: 'Extend the rules or the bounds, or take the source out of the mapping. Nothing allows a key that might be taken for another one, as with `//` or `/../` in it.',
  },
  HELD: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the change destroys data and waits for a person',
    todo: 'Look at what would be lost; then let it happen with `secretbridge release ID`, or correct the mapping.',
  },
  CONFIG_INVALID: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the configuration is invalid',
    todo: 'Correct what the message names; `secretbridge validate` finds what can be told without stores and cluster.',
  },
  CREDENTIAL_MISSING: {
    group: 'ours',
    remedy: 'fix-access',
    says: 'a credential or certificate that the configuration refers to is not there',
    todo: 'Provide the environment variable, file or Secret that the message names.',
  },
  TRACES_NOT_SENT: {
    group: 'ours',
    remedy: 'retry',
    says: 'the collector of traces did not take them, and those that do not fit in memory are lost',
    todo: 'Check `tracing.otlp`, and that the collector is there; nothing else waits for it.',
  },
  SERVICE_UNAVAILABLE: {
    group: 'ours',
    remedy: 'retry',
    says: 'the service could not be reached',
    todo: 'Check that `secretbridge serve` runs, and the address: `--server`, or `http.listen` of the configuration.',
  },
  REPLICAS_DIFFER: {
    group: 'ours',
    remedy: 'retry',
    says: 'it works by another configuration, so that what has left this one may be new to that one',
    todo: 'Wait until all replicas have read the same files; if it stays, look at `status` and the log of that one.',
  },
  BUSY_ELSEWHERE: {
    group: 'ours',
    remedy: 'retry',
    says: 'somebody else with this audit is at what only one may do at a time',
    todo: 'Nothing at once: the service tries again, and a command may be run again; if it goes on, find the process that hangs and end it.',
  },
  AUDIT_UNAVAILABLE: {
    group: 'ours',
    remedy: 'retry',
    says: 'the audit log cannot be used, so nothing is changed',
    todo: 'Check that `audit.store` is there and can be read and written, and that its disk is not full.',
  },
  AUDIT_TRUNCATED: {
    group: 'ours',
    remedy: 'fix-access',
    says: 'the audit log lacks records that a signed checkpoint proves',
    todo: 'Find out who removed them; then accept the loss with `secretbridge audit accept`.',
  },
  NOT_REVIEWABLE: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the record is itself a review, and needs none',
    todo: 'Review the record that it is about.',
  },
  QUEUE_MISCONFIGURED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'Redis is there, but cannot be used as it or `engine` is set up',
    todo: 'Check `engine` and the settings of Redis that the message names.',
  },
  QUEUE_UNAVAILABLE: {
    group: 'ours',
    remedy: 'retry',
    says: 'the queue could not be reached',
    todo: 'Nothing at once; if it goes on, check `engine` and Redis.',
  },
  RECORD_MISSING: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the audit log has no such record',
    todo: 'Look for the sequence with `secretbridge audit list`.',
  },
  NOT_HELD: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'nothing is held under this id',
    todo: 'Look with `secretbridge plan`: the id changes when the change does.',
  },
  NOT_A_CHANGE: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the record names no versions of this mapping that one could go back to',
    todo: 'Choose a change of this mapping: `secretbridge audit list --mapping NAME --action update`.',
  },
  NOT_PINNED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'no target of this mapping is pinned',
    todo: 'Nothing: it follows its sources. `secretbridge status` shows which targets are pinned.',
  },
  ROLLBACK_AMBIGUOUS: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the record names several versions of one source, and not which key was made of which',
    todo: 'Name the versions in the mapping itself, with `version`.',
  },
  CLOCK_SKEWED: {
    group: 'ours',
    remedy: 'fix-config',
    says: 'the clocks are too far apart: tokens and certificates will fail',
    todo: 'Synchronise the clocks of both machines, for example with NTP.',
  },
  STARTING: {
    group: 'ours',
    remedy: 'wait',
    says: 'the service is starting',
    todo: 'Nothing: ask again in a moment. If it goes on, its log says what it waits for.',
  },
  INTERRUPTED: {
    group: 'ours',
    remedy: 'retry',
    says: 'it was stopped before it was done',
    todo: 'Run it again: it decides anew and leaves nothing half done.',
  },
  INTERNAL: {
    group: 'ours',
    remedy: 'report-bug',
    says: 'something went wrong that should not',
    todo: 'Please report it with the request id and the log.',
  },
} as const satisfies Record<string, ErrorKind>;
