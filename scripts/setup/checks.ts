import type { Step } from './steps.ts';

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
  { title: 'types', command: ['tsc', '--project', 'tsconfig.json'] },
  { title: 'types of the page', command: ['tsc', '--project', 'src/http/ui/tsconfig.json'] },
  { title: 'unused code', command: ['knip', '--no-progress'] },
];
