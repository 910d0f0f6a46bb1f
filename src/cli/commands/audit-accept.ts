import type { Command } from 'commander';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../errors.ts';
import { command, type Run } from '../options.ts';
import { count, print } from '../texts/output.ts';
import { withApp } from '../with-app.ts';

export function addAccept(audit: Command, context: Context, run: Run): void {
  command(
    audit,
    'accept',
    'Accept that records are missing from the audit log, so that work continues. Your name is recorded.',
    {
      examples: ['secretbridge audit accept', 'secretbridge audit accept --records'],
      see: ['audit verify', 'docs/how-to/verify-the-audit.md'],
    },
  )
    .option('--records', 'confirm the records that no known key verifies, and the pins among them')
    .action((options: AcceptOptions) => run(async () => auditAcceptCommand(context, options)));
}

interface AcceptOptions extends GlobalOptions {
  readonly records?: boolean;
}

/** Records that a person has accepted the loss of audit records. After that, runs may change the cluster again. */
export async function auditAcceptCommand(context: Context, options: AcceptOptions): Promise<number> {
  if (options.records) return acceptRecordsCommand(context, options);
  return withApp(context, options, async ({ checkpoints, audit }) => {
    const loss = checkpoints?.loss();
    const doubt = checkpoints?.storeError();
    // Stop if a checkpoint location cannot be read. Its checkpoints may prove a larger loss than the checkpoints in the
    // other locations.
    if (doubt !== undefined && doubt.code !== 'AUDIT_TRUNCATED') throw doubt;
    if (checkpoints === undefined || loss === undefined) {
      print(context, options.output, {
        data: { accepted: false },
        human: () => 'Nothing to accept: the audit log contains everything that its checkpoints prove.',
      });
      return EXIT.ok;
    }
    const { end, contradicting, cutUntil } = loss;
    const actor = { kind: 'cli', name: context.user } as const;
    const { acceptanceEntry } = await import('../../app/checkpoints.ts');
    const { sequence, time } = await checkpoints.accept(acceptanceEntry(loss, actor));
    // If a location did not store the acceptance, its checkpoint still contradicts the audit log.
    const remaining = checkpoints.storeError();
    if (remaining !== undefined) throw checkpoints.writeError() ?? remaining;

    print(context, options.output, {
      data: {
        accepted: true,
        audit: audit.address,
        end,
        ...(cutUntil === undefined ? {} : { cutUntil }),
        missing: contradicting.map(({ place, checkpoint }) => ({
          place,
          sequence: checkpoint.sequence,
          hash: checkpoint.hash,
          time: checkpoint.time,
        })),
        record: sequence,
        time,
      },
      human: () =>
        [
          `The audit log ${audit.address} ends at record ${end.sequence}. Missing or altered:`,
          ...(cutUntil === undefined ? [] : [`  everything up to record ${cutUntil}`]),
          ...contradicting.map(
            ({ place, checkpoint }) =>
              `  record ${checkpoint.sequence}, by a checkpoint of ${checkpoint.time} in ${place}`,
          ),
          `Accepted by ${context.user} in record ${sequence}. A running service continues within seconds.`,
        ].join('\n'),
    });
    return EXIT.ok;
  });
}

/** Confirms the records of releases that did not authenticate records, and the pins among them. */
async function acceptRecordsCommand(context: Context, options: GlobalOptions): Promise<number> {
  const { acceptRecords } = await import('../../commands/accept-records.ts');
  return withApp(context, options, async (app) => {
    const accepted = await acceptRecords(app, { kind: 'cli', name: context.user });
    const { records, pins, record } = accepted;
    print(context, options.output, {
      data: { accepted: record !== undefined, ...accepted },
      human: () =>
        record === undefined
          ? 'Nothing to accept: a known key verifies each record.'
          : [
              `Confirmed ${count(records, 'record')} by ${context.user} in record ${record}.`,
              ...pins.map(
                ({ mapping, namespace, secret, to }) =>
                  `  ${namespace}/${secret} (mapping ${mapping}) stays pinned to record ${to}`,
              ),
            ].join('\n'),
    });
    return EXIT.ok;
  });
}
