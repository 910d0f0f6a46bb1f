import { runDoctor } from '../../app/doctor/doctor.ts';
import type { Finding } from '../../app/doctor/finding.ts';
import { toPrintable } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, exitCode } from '../exit.ts';
import { requireConfig } from '../require-config.ts';
import { count, type Paint, print, printErrorHint } from '../texts/output.ts';
import { appDeps } from '../with-app.ts';

export async function doctorCommand(context: Context, options: GlobalOptions): Promise<number> {
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  const findings = await runDoctor(config, appDeps(context, options, config), context.signal);
  const codes = findings.flatMap(({ error }) => (error === undefined ? [] : [error.code]));
  print(context, options.output, {
    data: {
      ok: codes.length === 0,
      checks: findings.map(({ name, error }) => ({
        name,
        ok: error === undefined,
        ...error?.toJSON(),
      })),
    },
    human: (paint) =>
      findings
        .map((finding) => findingText(finding, paint))
        .concat('', total(codes.length))
        .join('\n'),
  });
  printErrorHint(context, options.output, codes);
  return exitCode(codes);
}

function findingText({ name: given, error }: Finding, paint: Paint): string {
  const name = toPrintable(given);
  if (error === undefined) return `${paint('green', 'ok  ')}  ${name}`;
  return [
    `${paint('red', 'fail')}  ${paint('bold', name)}`,
    `      ${error.code}: ${error.message}`,
    `      ${error.remedy}`,
  ].join('\n');
}

function total(failures: number): string {
  return failures === 0 ? 'All checks passed.' : `${count(failures, 'check')} failed.`;
}
