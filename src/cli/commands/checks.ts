import type { Command } from 'commander';
import type { Finding } from '../../commands/doctor/sources.ts';
import { findWarnings } from '../../config/checks/service.ts';
import { formatPlace, type Problem } from '../../config/problem.ts';
import { toPrintable } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, exitCode } from '../errors.ts';
import { command, type Run } from '../options.ts';
import { INVALID_CONFIG, NEEDS_PERSON, RETRYABLE } from '../texts/help.ts';
import { commandRemedy, count, type Paint, painter, print, printErrorHint } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { appDeps, readableConfigMaps, requireCompleteConfig } from '../with-app.ts';

export function addValidate(program: Command, context: Context, run: Run): void {
  command(program, 'validate', 'Check the configuration and list every problem with its location.', {
    examples: ['secretbridge validate --config secretbridge.yaml'],
    exits: [[0, 'the configuration is valid'], INVALID_CONFIG],
    see: ['doctor', 'config-schema', 'docs/reference/configuration-mistakes.md'],
  }).action((options: GlobalOptions) => run(async () => validateCommand(context, options)));
}

export function addDoctor(program: Command, context: Context, run: Run): void {
  command(program, 'doctor', 'Test each store, key and target, and suggest a fix for each problem.', {
    examples: ['secretbridge doctor'],
    more: 'The command also plans every target, so it reports each target that `sync` would refuse.',
    exits: [[0, 'all checks passed'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['validate', 'rbac', 'docs/reference/errors.md'],
  }).action((options: GlobalOptions) => run(async () => doctorCommand(context, options)));
}

const loadTargets = () => import('../../reconcile/targets.ts');

export async function validateCommand(context: Context, options: GlobalOptions): Promise<number> {
  const { env, cwd } = context;
  const { loadConfig } = await import('../../config/load.ts');
  const paths = options.config ?? [];
  const loaded = await loadConfig({
    ...{ paths, env, cwd, meanwhile: loadTargets, warnsOfMissing: true },
    ...(await readableConfigMaps(context)),
  });
  const { targetsOf } = await loadTargets();
  // The cluster may be out of reach here. That does not make the configuration invalid.
  const isOfCluster = ({ code }: Problem) => code === 'CLUSTER_UNAVAILABLE' || code === 'CLUSTER_FORBIDDEN';
  const problems = loaded.problems.filter((problem) => !isOfCluster(problem));
  const valid = problems.length === 0;
  const unread = loaded.problems.filter(isOfCluster);
  const warnings = [...(loaded.kind === 'usable' ? loaded.warnings : []), ...unread];
  const text = valid ? '' : await problemsText(problems, painter(context.color), cwd);
  print(context, options.output, {
    data: { valid, problems, ...(warnings.length === 0 ? {} : { warnings }) },
    human: (paint) => {
      if (loaded.kind === 'invalid' || !valid) return text;
      const { stores, mappings } = loaded.config;
      const parts = [
        count(stores.length, 'store'),
        count(mappings.length, 'mapping'),
        count(targetsOf(mappings).length, 'target'),
      ];
      const summary = `${paint('green', 'The configuration is valid')}: ${parts.join(', ')}.`;
      return [summary, ...warnings.map((warning) => placedWarning(warning, paint))].join('\n');
    },
  });
  printErrorHint(
    context,
    options.output,
    problems.map(({ code }) => code),
  );
  return valid ? EXIT.ok : EXIT.config;
}

function placedWarning(warning: Problem, paint: Paint): string {
  return `${warningText(warning, paint)} (${toPrintable(formatPlace(warning))})`;
}

export async function doctorCommand(context: Context, options: GlobalOptions): Promise<number> {
  const config = await requireCompleteConfig(context, options);
  if (config === undefined) return EXIT.config;
  const { runDoctor } = await import('../../commands/doctor/doctor.ts');
  const findings = await runDoctor(config, appDeps(context, options, config), context.signal);
  const codes = findings.flatMap(({ error }) => (error === undefined ? [] : [error.code]));
  const warnings = [...findWarnings(config), ...findings.flatMap(warningsOf)];
  print(context, options.output, {
    data: {
      ok: codes.length === 0,
      checks: findings.map(({ name, about, error }) => ({
        name,
        ok: error === undefined,
        ...about,
        ...error?.toJSON(),
      })),
      warnings: warnings.map(warningData),
    },
    human: (paint) =>
      [
        ...foldTargets(findings).map((finding) => findingText(finding, paint)),
        ...warnings.map((warning) => warningText(warning, paint)),
        '',
        total(findings),
      ].join('\n'),
  });
  printErrorHint(context, options.output, codes);
  return exitCode(codes);
}

/** A warning about a target, or about the configuration. */
type Warning = Pick<Problem, 'code' | 'message'> & Partial<NonNullable<Finding['about']>>;

function warningsOf({ about, warnings = [] }: Finding): readonly Warning[] {
  return warnings.map(({ code, message }) => ({ code, message, ...about }));
}

function warningData({ code, message, mapping, namespace, secret }: Warning): object {
  const about = mapping === undefined ? {} : { mapping, namespace, secret };
  return { code, ...about, message };
}

function warningText({ code, message, namespace, secret }: Warning, paint: Paint): string {
  const about = secret === undefined ? '' : `${namespace}/${secret}: `;
  return `${paint('yellow', 'warning')} ${code}: ${about}${message}`;
}

/**
 * Combines the targets that fail the same check for the same reason into one finding. While a store is down, there may
 * be thousands of them.
 */
function foldTargets(findings: readonly Finding[]): readonly Finding[] {
  const reasonOf = ({ name, about, error }: Finding) =>
    about !== undefined && error !== undefined ? JSON.stringify([/^\w+: \w+/.exec(name), error]) : name;
  return [...Map.groupBy(findings, reasonOf).values()].flatMap(([first, ...more]) => {
    if (first === undefined || more.length === 0) return first ?? [];
    return { ...first, name: `${first.name} and ${count(more.length, 'more target')}` };
  });
}

function findingText({ name: given, error }: Finding, paint: Paint): string {
  const name = toPrintable(given);
  if (error === undefined) return `${paint('green', 'ok  ')}  ${name}`;
  return [
    `${paint('red', 'fail')}  ${paint('bold', name)}`,
    `      ${error.code}: ${error.message}`,
    `      ${commandRemedy(error.remedy)}`,
  ].join('\n');
}

/** Counts what was checked, because a skipped check can hide a failure. */
function total(findings: readonly Finding[]): string {
  const failed = findings.filter(({ error }) => error !== undefined).length;
  const tried = (pattern: RegExp) =>
    new Set(findings.flatMap(({ name }) => pattern.exec(name)?.[1] ?? [])).size;
  const targets = tried(/^target: sync (.*)$/);
  const parts = [
    count(tried(/^store ([^:]*): /), 'store'),
    count(tried(/^(?:read|find) (.*)$/), 'source'),
    targets === 0 ? 'no target' : count(targets, 'target'),
  ];
  const result = failed === 0 ? 'All checks passed' : `${count(failed, 'check')} failed`;
  return `Tried ${parts.join(', ')}. ${result}.`;
}
