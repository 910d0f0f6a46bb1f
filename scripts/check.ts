import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { step } from './setup/steps.ts';

// npm run check: what must be green before every commit, in under a minute. It stops at the first failure.

for (const check of [
  ...CHECKS,
  { title: 'fast tests', command: [...FAST_TESTS, '--reporter', 'dot'] } as const,
]) {
  if (!(await step(check))) process.exit(1);
}
