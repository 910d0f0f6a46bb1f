import { acceptanceEntry } from '../../app/checkpoints.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print } from '../texts/output.ts';
import { withApp } from '../with-app.ts';

/** That a person knows what the audit has lost, and lets the work go on. */
export async function auditAcceptCommand(context: Context, options: GlobalOptions): Promise<number> {
  return withApp(context, options, async ({ checkpoints, audit }) => {
    const loss = checkpoints?.loss();
    const doubt = checkpoints?.trouble();
    // A place that cannot be read may prove more than those that can.
    if (doubt !== undefined && doubt.code !== 'AUDIT_TRUNCATED') throw doubt;
    if (checkpoints === undefined || loss === undefined) {
      print(context, options.output, {
        data: { accepted: false },
        human: () => 'There is nothing to accept: the audit holds what its checkpoints prove.',
      });
      return EXIT.ok;
    }
    const { end, contradicting } = loss;
    const actor = { kind: 'cli', name: context.user } as const;
    const { sequence, time } = await checkpoints.accept(acceptanceEntry(loss, actor));
    // A place that does not know of the acceptance goes on to contradict.
    const left = checkpoints.trouble();
    if (left !== undefined) throw checkpoints.failing() ?? left;
    const missing = contradicting.map(({ place, checkpoint }) => ({ place, ...checkpoint }));
    print(context, options.output, {
      data: {
        accepted: true,
        audit: audit.address,
        end,
        missing: missing.map(({ place, sequence: proved, hash, time: at }) => ({
          place,
          sequence: proved,
          hash,
          time: at,
        })),
        record: sequence,
        time,
      },
      human: () =>
        [
          `The audit ${audit.address} ends at record ${end.sequence}. Missing, or another by now:`,
          ...missing.map((it) => `  record ${it.sequence}, by a checkpoint of ${it.time} in ${it.place}`),
          `Accepted by ${context.user}, as record ${sequence} says. A running service goes on within seconds.`,
        ].join('\n'),
    });
    return EXIT.ok;
  });
}
