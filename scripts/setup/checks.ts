import type { Step } from './steps.ts';

/** The fast tests wait for nothing but the processor, of which Vitest would leave one out. */
export const FAST_TESTS = ['vitest', 'run', '--project', 'fast', '--maxWorkers=100%'] as const;

/** What needs no test runner: the same in `npm run check` and `npm test`. */
export const CHECKS: readonly Step[] = [
  { title: 'format and lint', command: ['biome', 'check', '--error-on-warnings', '.'] },
  {
    title: 'lint with types',
    // The page has types of its own, which it takes for those of the service.
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
    // Looks again at what changed and at what depends on it.
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
];
