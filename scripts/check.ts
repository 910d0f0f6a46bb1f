import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { abortOnSignals, type Step, step } from './setup/steps.ts';

// npm run check: must pass before every commit, and takes less than a minute. It stops at the first failure. The tests
// and the static checks run in parallel.

const failure = new AbortController();
const signal = AbortSignal.any([abortOnSignals(), failure.signal]);

async function runAll(steps: readonly Step[]): Promise<boolean> {
  for (const next of steps) {
    if (await step(next, signal)) continue;
    failure.abort();
    return false;
  }
  return true;
}

const tests: Step = { title: 'fast tests', command: [...FAST_TESTS, '--reporter', 'dot'] };
const results = await Promise.all([runAll(CHECKS), runAll([tests])]);
process.exit(results.every(Boolean) ? 0 : 1);
