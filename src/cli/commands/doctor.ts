import { examine } from '../../app/doctor/doctor.ts';
import type { Finding } from '../../app/doctor/finding.ts';
import { shown } from '../../core/shown.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, exitCode } from '../exit.ts';
import { requireConfig } from '../require-config.ts';
import { count, type Paint, print } from '../texts/output.ts';
import { appDeps } from '../with-app.ts';

export async function doctorCommand(context: Context, options: GlobalOptions): Promise<number> {
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  const findings = await examine(config, appDeps(context, options, config), context.signal);
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
  return exitCode(codes);
}

function findingText({ name: given, error }: Finding, paint: Paint): string {
  const name = shown(given);
  if (error === undefined) return `${paint('green', 'ok  ')}  ${name}`;
  return [
    `${paint('red', 'fail')}  ${paint('bold', name)}`,
    `      ${error.code}: ${error.message}`,
    `      ${error.todo}`,
  ].join('\n');
}

function total(failures: number): string {
  return failures === 0 ? 'Everything works.' : `${count(failures, 'check')} failed.`;
}
