import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { type Step, step } from './setup/steps.ts';

// npm run check: what must be green before every commit, in under a minute. It stops at the first failure. The tests
// run beside the rest, which takes the time in which they wait.

const tests: Step = { title: 'fast tests', command: [...FAST_TESTS, '--reporter', 'dot'] };
const stop = new AbortController();

async function inTurn(steps: readonly Step[]): Promise<boolean> {
  for (const it of steps) {
    if (await step(it, stop.signal)) continue;
    stop.abort();
    return false;
  }
  return true;
}

const green = await Promise.all([inTurn(CHECKS), inTurn([tests])]);
process.exit(green.every(Boolean) ? 0 : 1);
