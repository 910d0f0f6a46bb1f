import type { Step } from './steps.ts';

/**
 * The fast tests never wait for other processes, so they can use all cores. By default, Vitest would leave one core
 * unused.
 */
export const FAST_TESTS = ['vitest', 'run', '--maxWorkers=100%', '--project', 'fast'] as const;

/** The checks that need no test runner. Both `npm run check` and `npm test` run them. */
export const CHECKS: readonly Step[] = [
  { title: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  {
    title: 'lint with types',
    command: ['oxlint', '--type-aware', '--deny-warnings', 'src', 'test', 'scripts', 'bench', 'ui'],
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
  // Without the types of the tests, a call may have other types.
  { title: 'types of the package', command: ['tsc', '--project', 'tsconfig.build.json', '--noEmit'] },
  { title: 'types of the page', command: ['tsc', '--project', 'ui/tsconfig.json'] },
  { title: 'unused code', command: ['knip', '--no-progress'] },
  { title: 'language', command: ['node', 'scripts/prose.ts'] },
];
