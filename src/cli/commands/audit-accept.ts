import { acceptanceEntry } from '../../app/checkpoints.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print } from '../texts/output.ts';
import { withApp } from '../with-app.ts';

/** Records that a person has accepted missing audit records, so that work continues. */
export async function auditAcceptCommand(context: Context, options: GlobalOptions): Promise<number> {
  return withApp(context, options, async ({ checkpoints, audit }) => {
    const loss = checkpoints?.loss();
    const doubt = checkpoints?.storeError();
    // Stop if a checkpoint location cannot be read: its checkpoints may prove a larger loss than the others.
    if (doubt !== undefined && doubt.code !== 'AUDIT_TRUNCATED') throw doubt;
    if (checkpoints === undefined || loss === undefined) {
      print(context, options.output, {
        data: { accepted: false },
        human: () => 'Nothing to accept: the audit log contains everything that its checkpoints prove.',
      });
      return EXIT.ok;
    }
    const { end, contradicting } = loss;
    const actor = { kind: 'cli', name: context.user } as const;
    const { sequence, time } = await checkpoints.accept(acceptanceEntry(loss, actor));
    // If a location did not store the acceptance, its checkpoint still contradicts the audit log.
    const remaining = checkpoints.storeError();
    if (remaining !== undefined) throw checkpoints.writeError() ?? remaining;

    print(context, options.output, {
      data: {
        accepted: true,
        audit: audit.address,
        end,
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
