import type { Step } from './steps.ts';

/** Use all cores, because the fast tests never wait. Vitest would leave one core unused by default. */
export const FAST_TESTS = ['vitest', 'run', '--project', 'fast', '--maxWorkers=100%'] as const;

/** Checks without a test runner. `npm run check` and `npm test` run the same checks. */
export const CHECKS: readonly Step[] = [
  { title: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  {
    title: 'lint with types',
    // The review page has its own type definitions, which conflict with those of the service.
    command: [
      'oxlint',
      '--type-aware',
      '--deny-warnings',
      '--ignore-pattern=src/http/ui/**',
      'src',
      'test',
      'scripts',
      'bench',
    ],
  },
  {
    title: 'types',
    // An incremental run checks only changed files and the files that depend on them.
    command: [
      'tsc',
      '--project',
      'tsconfig.json',
      '--incremental',
      '--tsBuildInfoFile',
      'node_modules/.cache/types.tsbuildinfo',
    ],
  },
  { title: 'types of the page', command: ['tsc', '--project', 'src/http/ui/tsconfig.json'] },
  { title: 'unused code', command: ['knip', '--no-progress'] },
  { title: 'language', command: ['node', 'scripts/prose.ts'] },
];
