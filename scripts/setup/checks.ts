import type { Step } from './steps.ts';

/** The fast tests use only the processor, and Vitest would leave one core unused by default. */
export const FAST_TESTS = ['vitest', 'run', '--project', 'fast', '--maxWorkers=100%'] as const;

/** Checks without a test runner, the same in `npm run check` and `npm test`. */
export const CHECKS: readonly Step[] = [
  { title: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  {
    title: 'lint with types',
    // The page has type definitions of its own, which conflict with those of the service.
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
    // Checks only changed files and the files that depend on them.
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
