/** Errors in the configuration, the audit log or the queue, and changes that are on hold. */
export const OURS = {
  NOT_ALLOWED: {
    group: 'ours',
    category: 'fix-config',
    message:
      'the `access` rules, or the limits in `include` for this mapping, do not allow this source for this namespace',
    remedy:
      'Extend the rules or limits, or remove the source from the mapping. Ambiguous keys, such as keys with `//` or `/../`, can never be allowed.',
  },
  LIMIT_REACHED: {
    group: 'ours',
    category: 'fix-config',
    message: 'the mapping is beyond a limit',
    remedy:
      'Use fewer mappings, targets or keys, or simpler templates and searches. Or raise the limit in `limits` of the `include`.',
  },
  POLICY_VIOLATED: {
    group: 'ours',
    category: 'fix-config',
    message: 'a rule in `policies` is violated',
    remedy: 'Change the mapping as the message says, or ask the operator to change the rule in `policies`.',
  },
  NOTIFY_FAILED: {
    group: 'ours',
    category: 'retry',
    message: 'a notification could not be delivered',
    remedy:
      'Check the channel in `notify` and its receiver. The message is sent again until it is delivered.',
  },
  EXPIRES_SOON: {
    group: 'ours',
    category: 'fix-config',
    message: 'a value or a certificate of the target expires within a week, or has expired',
    remedy: 'Rotate it in its store. The Secret is updated then, and stays unchanged until then.',
  },
  HELD: {
    group: 'ours',
    category: 'fix-config',
    message: 'the change destroys data and waits for approval',
    remedy:
      'Check what would be lost. Then approve the change with `secretbridge release ID`, or correct the mapping.',
  },
  APPROVAL_NEEDED: {
    group: 'ours',
    category: 'fix-config',
    message: 'a second person must approve this action',
    remedy:
      'Ask a person whom `approvals` names to run `secretbridge approvals approve ID`. The action is then carried out, so do not repeat it.',
  },
  APPROVAL_CLOSED: {
    group: 'ours',
    category: 'fix-config',
    message: 'the request for approval is not open any more',
    remedy:
      'If the action is still wanted, ask for it again. `secretbridge approvals list` shows the open requests.',
  },
  PLAN_OUTDATED: {
    group: 'ours',
    category: 'fix-config',
    message: 'something has changed since the saved plan was made',
    remedy:
      'Make a new plan with `secretbridge plan --out FILE` and review it. Then run `secretbridge sync --plan FILE`.',
  },
  OUTSIDE_WINDOW: {
    group: 'ours',
    category: 'wait',
    message: 'the change waits until its window in `windows` opens',
    remedy:
      'No action needed. If the change cannot wait, an operator can run `secretbridge sync --override --reason TEXT`.',
  },
  CONFIG_INVALID: {
    group: 'ours',
    category: 'fix-config',
    message: 'the configuration is invalid',
    remedy:
      'Correct the part in the message. `secretbridge validate` finds all problems that can be found without stores and cluster.',
  },
  CREDENTIAL_MISSING: {
    group: 'ours',
    category: 'fix-access',
    message: 'a credential or certificate in the configuration is missing',
    remedy: 'Provide the environment variable, file or Secret in the message.',
  },
  TRACES_NOT_SENT: {
    group: 'ours',
    category: 'retry',
    message: 'the trace collector did not accept the spans, and spans that do not fit in memory are lost',
    remedy: 'Check `tracing.otlp` and the collector. Nothing else is affected.',
  },
  SERVICE_UNAVAILABLE: {
    group: 'ours',
    category: 'retry',
    message: 'the service is unreachable',
    remedy:
      'Check that `secretbridge serve` is running. Then check the address in `--server`, or in `http.listen` of the configuration.',
  },
  REPLICAS_DIFFER: {
    group: 'ours',
    category: 'retry',
    message: 'another replica uses a different configuration, which may still contain the targets to delete',
    remedy:
      'Wait until all replicas have read the same files. If the error persists, check `secretbridge status` and the log of the other replica.',
  },
  BUSY_ELSEWHERE: {
    group: 'ours',
    category: 'retry',
    message: 'another process with this audit log is doing work that only one process may do at a time',
    remedy:
      'No action needed. The service tries again, and a command can be run again. If the error persists, find the process that hangs and stop it.',
  },
  AUDIT_UNAVAILABLE: {
    group: 'ours',
    category: 'retry',
    message: 'the audit log is unusable, so nothing is changed',
    remedy: 'Check that `audit.store` exists, is readable and writable, and that its disk is not full.',
  },
  AUDIT_TRUNCATED: {
    group: 'ours',
    category: 'fix-access',
    message: 'a signed checkpoint proves that records are missing from the audit log',
    remedy: 'Find out who removed the records. Then accept the loss with `secretbridge audit accept`.',
  },
  AUDIT_ALTERED: {
    group: 'ours',
    category: 'fix-access',
    message: 'records of the audit log were altered or removed, so they do not decide anything',
    remedy: 'Run `secretbridge audit verify`, and find out who can write to the audit store.',
  },
  PIN_UNCONFIRMED: {
    group: 'ours',
    category: 'fix-config',
    message: 'the target is pinned by a record that cannot be verified, so the target stays unchanged',
    remedy:
      'Check the record. Then confirm it with `secretbridge audit accept --records`, or run `secretbridge unpin`.',
  },
  CHECKPOINTS_MISSING: {
    group: 'ours',
    category: 'fix-config',
    message:
      'no checkpoint of the audit log is kept where it can be read back, so a cut or rewritten log would stay unnoticed',
    remedy:
      'Set `audit.checkpoints`, or `keys.checkpoint` with PostgreSQL. Keep the checkpoints where people with access to the audit store cannot change them.',
  },
  RECORDS_UNVERIFIABLE: {
    group: 'ours',
    category: 'fix-config',
    message: 'records of the audit log have no HMAC of a known key, so decisions do not use them',
    remedy:
      'If a fingerprint key was removed, add it to `keys.fingerprint` again. Confirm records of earlier releases with `secretbridge audit accept --records`.',
  },
  NOT_REVIEWABLE: {
    group: 'ours',
    category: 'fix-config',
    message: 'the record is itself a review, which cannot be reviewed',
    remedy: 'Review the record that this review refers to.',
  },
  QUEUE_MISCONFIGURED: {
    group: 'ours',
    category: 'fix-config',
    message: 'Redis is reachable, but its settings or `engine` make it unusable',
    remedy: 'Check `engine` and the Redis settings in the message.',
  },
  QUEUE_UNAVAILABLE: {
    group: 'ours',
    category: 'retry',
    message: 'the queue is unreachable',
    remedy: 'No action needed. If the error persists, check `engine` and Redis.',
  },
  RECORD_MISSING: {
    group: 'ours',
    category: 'fix-config',
    message: 'the audit log has no record with this sequence number',
    remedy: 'Find the sequence number with `secretbridge audit list`.',
  },
  NOT_HELD: {
    group: 'ours',
    category: 'fix-config',
    message: 'no change is held under this ID',
    remedy:
      'Run `secretbridge plan` to see the held changes. The ID of a held change changes when its plan changes.',
  },
  NOT_A_CHANGE: {
    group: 'ours',
    category: 'fix-config',
    message: 'the record has no versions of this mapping to roll back to',
    remedy: 'Choose a change of this mapping: `secretbridge audit list --mapping NAME --action update`.',
  },
  NOT_PINNED: {
    group: 'ours',
    category: 'fix-config',
    message: 'no target of this mapping is pinned',
    remedy:
      'No action needed: the mapping follows its sources. `secretbridge status` shows which targets are pinned.',
  },
  ROLLBACK_AMBIGUOUS: {
    group: 'ours',
    category: 'fix-config',
    message: 'the record has several versions of one source, and does not say which key used which version',
    remedy: 'Set the versions in the mapping itself, with `version`.',
  },
  CLOCK_SKEWED: {
    group: 'ours',
    category: 'fix-config',
    message: 'the clocks differ too much: tokens and certificates will fail',
    remedy: 'Synchronize the clocks of both machines, for example with NTP.',
  },
  STARTING: {
    group: 'ours',
    category: 'wait',
    message: 'the service is starting',
    remedy:
      'No action needed. Try again in a moment. If the error persists, the log says what the service waits for.',
  },
  INTERRUPTED: {
    group: 'ours',
    category: 'retry',
    message: 'the operation was interrupted',
    remedy:
      'Run the operation again. The new run decides from the current state and leaves nothing half done.',
  },
  INTERNAL: {
    group: 'ours',
    category: 'report-bug',
    message: 'an unexpected internal error occurred',
    remedy: 'Please report it with the request ID and the log.',
  },
} as const;
